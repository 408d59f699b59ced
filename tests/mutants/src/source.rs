//! Finding an expression in a source, however it is broken into lines, and putting another beside it.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

use crate::VARIABLE;
use crate::table::Mutant;

/// Where the expression that `mutant` takes away stands in `source`.
pub fn place(source: &str, mutant: &Mutant) -> Result<Range<usize>> {
    let begin = match mutant.after {
        "" => 0,
        after => {
            let places = places(source, after);
            ensure!(
                places.len() == 1,
                "{}: `{after}` is {} times in {}",
                mutant.name,
                places.len(),
                mutant.file
            );
            places.first().map_or(0, |place| place.end)
        }
    };
    let rest = source.get(begin..).unwrap_or_default();
    let found = places(rest, mutant.find);
    // Behind a landmark the next one is meant, otherwise there is but one.
    ensure!(
        found.len() == 1 || !found.is_empty() && !mutant.after.is_empty(),
        "{}: `{}` is {} times in {}",
        mutant.name,
        mutant.find,
        found.len(),
        mutant.file
    );
    let place = found.into_iter().next().context("nothing is there")?;
    Ok(begin + place.start..begin + place.end)
}

/// Where `text` stands in `source`. White space does not count.
fn places(source: &str, text: &str) -> Vec<Range<usize>> {
    let bytes: Vec<(usize, u8)> = source
        .bytes()
        .enumerate()
        .filter(|(_, byte)| !byte.is_ascii_whitespace())
        .collect();
    let wanted: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    bytes
        .windows(wanted.len())
        .filter(|window| window.iter().map(|(_, byte)| byte).eq(&wanted))
        .filter_map(|window| Some(window.first()?.0..window.last()?.0 + 1))
        .collect()
}

/// `source` with every one of `mutants` in it, each there when it is called for.
pub fn with_mutants(source: &str, mutants: &[&Mutant]) -> Result<String> {
    let mut places: Vec<(Range<usize>, &Mutant)> = mutants
        .iter()
        .map(|mutant| Ok((place(source, mutant)?, *mutant)))
        .collect::<Result<_>>()?;
    // What is within another comes behind it, so that both are written from the inside out.
    places.sort_by_key(|(place, _)| (place.start, std::cmp::Reverse(place.end)));
    written(source, 0..source.len(), &places)
}

fn written(source: &str, part: Range<usize>, places: &[(Range<usize>, &Mutant)]) -> Result<String> {
    let mut out = String::new();
    let mut at = part.start;
    let mut rest = places;
    while let Some(((place, mutant), behind)) = rest.split_first() {
        ensure!(
            at <= place.start && place.end <= part.end,
            "{} overlaps another mutant",
            mutant.name
        );
        let within = behind
            .iter()
            .take_while(|(other, _)| other.start < place.end)
            .count();
        let (inner, behind) = behind.split_at(within);
        let kept = written(source, place.clone(), inner)?;
        out.push_str(source.get(at..place.start).unwrap_or_default());
        out.push_str(&format!(
            "(if ::std::env::var_os({VARIABLE:?}).is_some_and(|mutant| mutant == {:?}) {{ {} }} else {{ {kept} }})",
            mutant.name, mutant.replace
        ));
        at = place.end;
        rest = behind;
    }
    out.push_str(source.get(at..part.end).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::table;

    /// A table that no longer fits the sources shows nothing.
    #[test]
    fn every_defence_is_there() {
        let mut sources = BTreeMap::new();
        let mut faults = Vec::new();
        for mutant in table::all() {
            let path = crate::workspace().join(mutant.file);
            let source = sources
                .entry(mutant.file)
                .or_insert_with(|| std::fs::read_to_string(path).unwrap_or_default());
            faults.extend(place(source, mutant).err().map(|fault| fault.to_string()));
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn every_defence_has_a_name_and_cases_of_its_own() {
        let names: BTreeSet<_> = table::all().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), table::all().count());
        for mutant in table::all() {
            assert!(!mutant.cases.is_empty(), "{}", mutant.name);
            let cases: BTreeSet<_> = mutant.cases.iter().collect();
            assert_eq!(cases.len(), mutant.cases.len(), "{}", mutant.name);
        }
        assert!(names.len() >= 45, "{}", names.len());
    }

    fn mutant(find: &'static str, replace: &'static str) -> Mutant {
        Mutant {
            name: find,
            defence: "",
            file: "",
            after: "",
            find,
            replace,
            program: table::Program::Suite,
            cases: &[],
        }
    }

    #[test]
    fn one_within_another_is_kept() {
        let source = "let a = f(\n    b,\n    c);";
        let (outer, inner) = (mutant("f(b, c)", "1"), mutant("c", "2"));
        let check = |name: &str| {
            format!(
                "(if ::std::env::var_os(\"DAGFLUX_MUTANT\").is_some_and(|mutant| mutant == \"{name}\")"
            )
        };
        let expected = format!(
            "let a = {} {{ 1 }} else {{ f(\n    b,\n    {} {{ 2 }} else {{ c }})) }});",
            check("f(b, c)"),
            check("c")
        );
        assert_eq!(with_mutants(source, &[&inner, &outer]).unwrap(), expected);
        assert!(place("c c", &inner).is_err());
    }
}
