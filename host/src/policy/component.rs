//! What a component may be made of: looked over before anything of it is compiled or run.
//!
//! A compiler takes time and memory that grow faster than a function does: with the ways through it,
//! times the values that live on them. Some hundred kilobytes suffice for minutes and gigabytes. So
//! what would be needed is estimated first, which takes milliseconds.
//!
//! An estimate is no promise: what it misses is stopped by
//! [`Limits::compile_time`](super::Limits::compile_time) and
//! [`Limits::compile_memory`](super::Limits::compile_memory).

use std::fmt;

use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload, Result};

/// The most functions. The PostgreSQL connector has 2,600.
const MOST_FUNCTIONS: u64 = 50_000;

/// The most bytes of one function. The largest of the PostgreSQL connector has 60 KB.
const LARGEST_FUNCTION: u64 = 1024 * 1024;

/// The most values that have to be joined where ways through one function meet. The most of the
/// PostgreSQL connector is 160,000.
const MOST_JOINS: u64 = 8_000_000;

/// The same over all functions. The PostgreSQL connector has 7 million.
const MOST_JOINS_IN_ALL: u64 = 100_000_000;

/// The most modules and components within. `wasm-tools component new` makes five.
const MOST_PARTS: u64 = 64;

/// The most types, imports and exports of one component or module.
const MOST_DECLARATIONS: u64 = 10_000;

/// What a component says of itself in its outermost layer, without being compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The names of what it imports.
    pub imports: Vec<String>,
    /// The names of what it exports.
    pub exports: Vec<String>,
}

/// Why a component is not compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// It has too many functions.
    Functions,
    /// One function is too large.
    LargeFunction,
    /// Too many values meet on too many ways.
    Joins,
    /// It has too many modules and components within.
    Parts,
    /// It has too many types, imports or exports.
    Declarations,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Functions => write!(f, "it has more than {MOST_FUNCTIONS} functions"),
            Self::LargeFunction => {
                write!(f, "a function of it has more than {LARGEST_FUNCTION} bytes")
            }
            Self::Joins => f.write_str("a function of it has too many variables for its branches"),
            Self::Parts => write!(f, "it has more than {MOST_PARTS} modules"),
            Self::Declarations => write!(
                f,
                "it has more than {MOST_DECLARATIONS} types, imports or exports in one place"
            ),
        }
    }
}

/// What of a component was counted.
#[derive(Debug, Default)]
struct Counts {
    functions: u64,
    joins: u64,
    parts: u64,
}

/// Reads the outline of `wasm`, and judges whether it may be compiled.
///
/// What is not WebAssembly is left to the compiler to explain, and has an outline as far as it can
/// be read.
///
/// # Errors
///
/// What there is too much of.
pub fn permit(wasm: &[u8]) -> Result<Outline, TooMuch> {
    let mut outline = Outline::default();
    let mut counts = Counts::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth = depth.saturating_add(1);
                counts.parts = counts.parts.saturating_add(1);
                within(counts.parts, MOST_PARTS, TooMuch::Parts)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => {
                counts.functions = counts.functions.saturating_add(count.into());
                within(counts.functions, MOST_FUNCTIONS, TooMuch::Functions)?;
            }
            Payload::CodeSectionEntry(body) => counts.add(&body)?,
            Payload::ComponentImportSection(section) => {
                declared(section.count())?;
                if depth == 0 {
                    let names = section.into_iter().map_while(Result::ok);
                    outline
                        .imports
                        .extend(names.map(|import| import.name.name.to_owned()));
                }
            }
            Payload::ComponentExportSection(section) => {
                declared(section.count())?;
                if depth == 0 {
                    let names = section.into_iter().map_while(Result::ok);
                    outline
                        .exports
                        .extend(names.map(|export| export.name.name.to_owned()));
                }
            }
            Payload::TypeSection(section) => declared(section.count())?,
            Payload::ImportSection(section) => declared(section.count())?,
            Payload::ExportSection(section) => declared(section.count())?,
            Payload::ComponentTypeSection(section) => declared(section.count())?,
            Payload::CoreTypeSection(section) => declared(section.count())?,
            Payload::ComponentAliasSection(section) => declared(section.count())?,
            Payload::InstanceSection(section) => declared(section.count())?,
            Payload::ComponentInstanceSection(section) => declared(section.count())?,
            _ => {}
        }
    }
    Ok(outline)
}

fn within(count: u64, most: u64, too_much: TooMuch) -> Result<(), TooMuch> {
    if count <= most { Ok(()) } else { Err(too_much) }
}

fn declared(count: u32) -> Result<(), TooMuch> {
    within(count.into(), MOST_DECLARATIONS, TooMuch::Declarations)
}

impl Counts {
    fn add(&mut self, body: &FunctionBody<'_>) -> Result<(), TooMuch> {
        let size = body.range().len() as u64;
        within(size, LARGEST_FUNCTION, TooMuch::LargeFunction)?;
        // A function that cannot be read is the compiler's to refuse.
        let joins = joins(body).unwrap_or_default();
        within(joins, MOST_JOINS, TooMuch::Joins)?;
        self.joins = self.joins.saturating_add(joins);
        within(self.joins, MOST_JOINS_IN_ALL, TooMuch::Joins)
    }
}

/// How many values may have to be joined in a function: each local at each place where ways meet.
fn joins(body: &FunctionBody<'_>) -> Result<u64> {
    let mut locals = 1_u64;
    for group in body.get_locals_reader()? {
        locals = locals.saturating_add(group?.0.into());
    }
    let mut ways = 1_u64;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let more = match operators.read()? {
            // A block that carries values of its own joins them as well.
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                match blockty {
                    BlockType::FuncType(_) => 16,
                    _ => 1,
                }
            }
            Operator::Br { .. } | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => u64::from(targets.len()),
            _ => 0,
        };
        ways = ways.saturating_add(more);
    }
    Ok(locals.saturating_mul(ways))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of these sections within a component.
    fn module(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, content) in sections {
            module.push(*id);
            module.extend(leb(content.len() as u64));
            module.extend(content);
        }
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.push(1);
        component.extend(leb(module.len() as u64));
        component.extend(module);
        component
    }

    fn leb(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 0x80);
        }
    }

    /// Functions of `locals` locals, each with `code`.
    fn functions(count: u64, locals: u64, code: &[u8]) -> Vec<u8> {
        let mut body = vec![1];
        body.extend(leb(locals));
        body.push(0x7f);
        body.extend(code);
        body.push(0x0b);
        let mut bodies = leb(count);
        for _ in 0..count {
            bodies.extend(leb(body.len() as u64));
            bodies.extend(&body);
        }
        let mut types = leb(count);
        types.extend(std::iter::repeat_n(0, count as usize));
        module(&[(1, vec![1, 0x60, 0, 0]), (3, types), (10, bodies)])
    }

    /// So many loops within each other.
    fn loops(depth: usize) -> Vec<u8> {
        let mut code = [0x03, 0x40].repeat(depth);
        code.extend(std::iter::repeat_n(0x0b, depth));
        code
    }

    #[test]
    fn what_would_take_long_to_compile_is_refused() {
        for (component, reason) in [
            (functions(50_001, 0, &[]), TooMuch::Functions),
            (
                functions(1, 0, &[0x01; 1024 * 1024]),
                TooMuch::LargeFunction,
            ),
            (functions(1, 10_000, &loops(1_000)), TooMuch::Joins),
            (functions(1_000, 1_000, &loops(200)), TooMuch::Joins),
        ] {
            assert_eq!(permit(&component), Err(reason));
        }
        let nested = module(&[]);
        let mut parts = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..65 {
            parts.push(4);
            parts.extend(leb(nested.len() as u64));
            parts.extend(&nested);
        }
        assert_eq!(permit(&parts), Err(TooMuch::Parts));
        let types = module(&[(1, {
            let mut types = leb(10_001);
            types.extend([0x60, 0, 0].repeat(10_001));
            types
        })]);
        assert_eq!(permit(&types), Err(TooMuch::Declarations));
    }

    #[test]
    fn what_compilers_make_is_permitted() {
        for component in [
            functions(40_000, 4, &[]),
            functions(2_000, 40, &loops(20)),
            functions(10, 100, &loops(500)),
        ] {
            assert_eq!(permit(&component), Ok(Outline::default()));
        }
    }

    #[test]
    fn what_is_none_is_left_to_the_compiler() {
        for bytes in [
            &b""[..],
            b"\0asm",
            b"hello",
            b"\0asm\x0d\0\x01\0\x01\xff\xff",
        ] {
            assert_eq!(permit(bytes), Ok(Outline::default()));
        }
    }
}
