//! What a component may be made of: looked over before anything of it is compiled or run.
//!
//! A compiler takes time and memory that grow faster than a function does: with the ways through it,
//! times the values that live on them. Some hundred kilobytes suffice for minutes and gigabytes. So
//! what would be needed is estimated first, which takes milliseconds.
//!
//! An estimate is no promise: what it misses is stopped by
//! [`Limits::compile_time`](super::Limits::compile_time) and
//! [`Limits::compile_memory`](super::Limits::compile_memory).

use std::collections::VecDeque;
use std::fmt;

use wasmparser::{
    BlockType, ComponentType, CompositeInnerType, FunctionBody, Operator, Parser, Payload,
};

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

/// The most declarations (types, imports, exports, globals, elements, adapters and the like), in all
/// parts together. The PostgreSQL connector has 3,600.
const MOST_DECLARATIONS: u64 = 100_000;

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
    /// It has too many types, imports, exports and other declarations.
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
                "it has more than {MOST_DECLARATIONS} types, imports, exports and other declarations"
            ),
        }
    }
}

/// The outline of `wasm`, as far as it can be read.
pub fn outline(wasm: &[u8]) -> Outline {
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth = depth.saturating_add(1);
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                let names = section.into_iter().map_while(Result::ok);
                let names = names.map(|import| import.name.name.to_owned());
                outline.imports.extend(names);
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                let names = section.into_iter().map_while(Result::ok);
                let names = names.map(|export| export.name.name.to_owned());
                outline.exports.extend(names);
            }
            _ => {}
        }
    }
    outline
}

/// Judges whether `wasm` may be compiled. What is not WebAssembly is left to the compiler to explain.
///
/// # Errors
///
/// What there is too much of.
pub fn permit(wasm: &[u8]) -> Result<(), TooMuch> {
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { break };
        counts.add(payload)?;
    }
    Ok(())
}

/// What of a component was counted.
#[derive(Debug, Default)]
struct Counts {
    functions: u64,
    joins: u64,
    parts: u64,
    declarations: u64,
    /// Of the module that is being read.
    module: Module,
}

/// What has to be known of a module to judge its functions.
#[derive(Debug, Default)]
struct Module {
    /// Parameters and results of its types; nothing for types that are not of functions.
    types: Vec<(u64, u64)>,
    /// The types of its own functions, in the order of their bodies.
    functions: VecDeque<u32>,
}

fn within(count: u64, most: u64, too_much: TooMuch) -> Result<(), TooMuch> {
    if count <= most { Ok(()) } else { Err(too_much) }
}

impl Counts {
    fn add(&mut self, payload: Payload<'_>) -> Result<(), TooMuch> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                // Modules have no parts of their own, so none is left half read.
                self.module = Module::default();
                self.parts = self.parts.saturating_add(1);
                within(self.parts, MOST_PARTS, TooMuch::Parts)
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(count.into());
                within(self.functions, MOST_FUNCTIONS, TooMuch::Functions)
            }
            Payload::CodeSectionEntry(body) => self.function(&body),
            Payload::FunctionSection(section) => {
                self.declare(section.count())?;
                let types = section.into_iter().map_while(Result::ok);
                self.module.functions.extend(types);
                Ok(())
            }
            Payload::TypeSection(section) => {
                // One group may have any number of types.
                for group in section.into_iter().map_while(Result::ok) {
                    for kind in group.into_types() {
                        self.declare(1)?;
                        let arity = match &kind.composite_type.inner {
                            CompositeInnerType::Func(function) => (
                                function.params().len() as u64,
                                function.results().len() as u64,
                            ),
                            _ => (0, 0),
                        };
                        self.module.types.push(arity);
                    }
                }
                Ok(())
            }
            Payload::ComponentTypeSection(section) => {
                for kind in section.into_iter().map_while(Result::ok) {
                    let within = match kind {
                        ComponentType::Component(declarations) => declarations.len(),
                        ComponentType::Instance(declarations) => declarations.len(),
                        _ => 0,
                    };
                    self.declare(u32::try_from(within).unwrap_or(u32::MAX))?;
                    self.declare(1)?;
                }
                Ok(())
            }
            Payload::ImportSection(section) => self.declare(section.count()),
            Payload::ExportSection(section) => self.declare(section.count()),
            Payload::GlobalSection(section) => self.declare(section.count()),
            Payload::ElementSection(section) => self.declare(section.count()),
            Payload::DataSection(section) => self.declare(section.count()),
            Payload::TagSection(section) => self.declare(section.count()),
            Payload::CoreTypeSection(section) => self.declare(section.count()),
            Payload::InstanceSection(section) => self.declare(section.count()),
            Payload::ComponentInstanceSection(section) => self.declare(section.count()),
            Payload::ComponentAliasSection(section) => self.declare(section.count()),
            Payload::ComponentImportSection(section) => self.declare(section.count()),
            Payload::ComponentExportSection(section) => self.declare(section.count()),
            Payload::ComponentCanonicalSection(section) => self.declare(section.count()),
            _ => Ok(()),
        }
    }

    fn declare(&mut self, more: u32) -> Result<(), TooMuch> {
        self.declarations = self.declarations.saturating_add(more.into());
        within(self.declarations, MOST_DECLARATIONS, TooMuch::Declarations)
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), TooMuch> {
        let size = body.range().len() as u64;
        within(size, LARGEST_FUNCTION, TooMuch::LargeFunction)?;
        let own = self.module.functions.pop_front();
        let (parameters, _) = own.map_or((0, 0), |own| self.module.arity(own));
        // A function that cannot be read is the compiler's to refuse.
        let joins = self.module.joins(body, parameters).unwrap_or_default();
        within(joins, MOST_JOINS, TooMuch::Joins)?;
        self.joins = self.joins.saturating_add(joins);
        within(self.joins, MOST_JOINS_IN_ALL, TooMuch::Joins)
    }
}

impl Module {
    fn arity(&self, index: u32) -> (u64, u64) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.types.get(index).copied().unwrap_or_default()
    }

    /// How many values may have to be joined in a function: each local, and what a block carries, at
    /// each place where ways meet.
    fn joins(&self, body: &FunctionBody<'_>, parameters: u64) -> wasmparser::Result<u64> {
        let mut locals = parameters.saturating_add(1);
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(group?.0.into());
        }
        // What a branch to each label that is open carries.
        let mut labels = vec![1_u64];
        let mut joins = locals;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let carried = match operators.read()? {
                Operator::Block { blockty } | Operator::If { blockty } => {
                    let (parameters, results) = self.block(blockty);
                    labels.push(results);
                    parameters.saturating_add(results)
                }
                Operator::Loop { blockty } => {
                    let (parameters, results) = self.block(blockty);
                    labels.push(parameters);
                    parameters.saturating_add(results)
                }
                Operator::End => {
                    labels.pop();
                    continue;
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    label(&labels, relative_depth)
                }
                Operator::BrTable { targets } => {
                    let mut carried = locals.saturating_add(label(&labels, targets.default()));
                    for target in targets.targets() {
                        let more = locals.saturating_add(label(&labels, target?));
                        carried = carried.saturating_add(more);
                    }
                    carried
                }
                _ => continue,
            };
            joins = joins.saturating_add(locals).saturating_add(carried);
        }
        Ok(joins)
    }

    /// The values that go into a block, and come out of it.
    fn block(&self, kind: BlockType) -> (u64, u64) {
        match kind {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => self.arity(index),
        }
    }
}

fn label(labels: &[u64], depth: u32) -> u64 {
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    labels.iter().rev().nth(depth).copied().unwrap_or(1)
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
        let types = |count: usize| {
            let mut types = leb(count as u64);
            types.extend([0x60, 0, 0].repeat(count));
            (1, types)
        };
        // In one place, in several modules, and in one group of a place.
        let several = [
            module(&[types(60_000)]),
            module(&[types(60_000)]).split_off(8),
        ];
        let group = (1, [vec![1, 0x4e], types(100_001).1].concat());
        for component in [
            module(&[types(100_001)]),
            several.concat(),
            module(&[group]),
        ] {
            assert_eq!(permit(&component), Err(TooMuch::Declarations));
        }
    }

    /// One function of this type, with this code.
    fn function(parameters: usize, results: usize, code: &[u8]) -> Vec<u8> {
        let kind = |parameters: usize, results: usize| {
            let mut kind = vec![0x60];
            for count in [parameters, results] {
                kind.extend(leb(count as u64));
                kind.extend(std::iter::repeat_n(0x7f, count));
            }
            kind
        };
        // Type 1 is what blocks can have.
        let types = [vec![2], kind(parameters, 0), kind(0, results)].concat();
        let mut body = vec![0];
        body.extend(code);
        body.push(0x0b);
        let bodies = [vec![1], leb(body.len() as u64), body].concat();
        module(&[(1, types), (3, vec![1, 0]), (10, bodies)])
    }

    #[test]
    fn parameters_and_results_count_as_well() {
        // Parameters are variables.
        assert_eq!(permit(&function(1_000, 0, &loops(4_000))), Ok(()));
        assert_eq!(
            permit(&function(1_000, 0, &loops(10_000))),
            Err(TooMuch::Joins)
        );
        // What a block gives is joined where it ends, and at each branch to its end.
        let blocks = |count: usize| [[0x02, 0x01].repeat(count), vec![0x0b; count]].concat();
        assert_eq!(permit(&function(0, 1_000, &blocks(4_000))), Ok(()));
        assert_eq!(
            permit(&function(0, 1_000, &blocks(10_000))),
            Err(TooMuch::Joins)
        );
        let branches = [&[0x02, 0x01][..], &[0x0c, 0].repeat(10_000), &[0x0b]].concat();
        assert_eq!(permit(&function(0, 1_000, &branches)), Err(TooMuch::Joins));
        let table = [
            &[0x02, 0x01, 0x0e][..],
            &leb(10_000),
            &[0].repeat(10_001),
            &[0x0b],
        ]
        .concat();
        assert_eq!(permit(&function(0, 1_000, &table)), Err(TooMuch::Joins));
    }

    #[test]
    fn what_compilers_make_is_permitted() {
        for component in [
            functions(40_000, 4, &[]),
            functions(2_000, 40, &loops(20)),
            functions(10, 100, &loops(500)),
        ] {
            assert_eq!(permit(&component), Ok(()));
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
            assert_eq!(permit(bytes), Ok(()));
            assert_eq!(outline(bytes), Outline::default());
        }
    }
}
