//! How much is said of each table, so that all of them fit.

/// How much is said of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Nothing,
    /// Its name.
    Name,
    /// Its name and those of its columns.
    Short,
    /// All that is known.
    Full,
}

/// What a table takes, in bytes, by how much is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of its name alone.
    pub name: usize,
    /// In short.
    pub short: usize,
    /// In full.
    pub full: usize,
    /// Whether it has to be named.
    pub chosen: bool,
}

impl Cost {
    fn of(&self, level: Level) -> usize {
        match level {
            Level::Nothing => 0,
            Level::Name => self.name,
            Level::Short => self.short,
            Level::Full => self.full,
        }
    }
}

/// How much is said of each of the tables, the most relevant first; none if not even the names of
/// those that were chosen fit.
///
/// Two thirds of what the names leave go to the first tables, in full; the rest of it to the columns
/// of as many others as it takes, and then to whatever still fits.
pub fn divided(tables: &[Cost], room: usize) -> Option<Vec<Level>> {
    let mut levels: Vec<Level> = tables
        .iter()
        .map(|table| match table.chosen {
            true => Level::Name,
            false => Level::Nothing,
        })
        .collect();
    let names: usize = tables
        .iter()
        .zip(&levels)
        .map(|(table, level)| table.of(*level))
        .sum();
    let mut left = room.checked_sub(names)?;
    let third = left.div_euclid(3);
    for (to, kept) in [
        (Level::Full, third),
        (Level::Short, 0),
        (Level::Name, 0),
        (Level::Full, 0),
    ] {
        for (table, level) in tables.iter().zip(&mut levels) {
            // What nobody chose waits until everything chosen had its turn.
            let waits = kept > 0 && !table.chosen;
            if *level >= to || waits {
                continue;
            }
            let more = table.of(to).saturating_sub(table.of(*level));
            if let Some(rest) = left.checked_sub(more).filter(|rest| *rest >= kept) {
                left = rest;
                *level = to;
            }
        }
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(full: usize, chosen: bool) -> Cost {
        Cost {
            name: 10,
            short: 100,
            full,
            chosen,
        }
    }

    fn used(tables: &[Cost], levels: &[Level]) -> usize {
        tables
            .iter()
            .zip(levels)
            .map(|(table, level)| table.of(*level))
            .sum()
    }

    #[test]
    fn the_first_come_first_and_all_fit() {
        let mut tables = vec![table(500, true); 300];
        tables.extend([table(500, false); 10]);
        assert_eq!(divided(&tables, 2_999), None);
        for room in [3_000, 3_500, 10_000, 50_000, 200_000] {
            let levels = divided(&tables, room).unwrap_or_default();
            assert!(used(&tables, &levels) <= room, "{room}");
            let chosen = levels.get(..300).unwrap_or_default();
            assert_eq!(chosen.len(), 300, "{room}");
            assert!(chosen.is_sorted_by(|a, b| a >= b), "{room}: {levels:?}");
            assert!(chosen.iter().all(|level| *level >= Level::Name));
        }
        let levels = divided(&tables, 50_000).unwrap_or_default();
        for level in [Level::Full, Level::Short, Level::Name] {
            assert!(levels.contains(&level), "{level:?}");
        }
        let all = vec![Level::Full; tables.len()];
        assert_eq!(divided(&tables, 200_000), Some(all));
    }

    #[test]
    fn what_is_too_large_leaves_its_place_to_others() {
        let tables = [table(100_000, true), table(500, true), table(500, false)];
        assert_eq!(
            divided(&tables, 3_000),
            Some(vec![Level::Short, Level::Full, Level::Full])
        );
        assert_eq!(
            divided(&tables, 35),
            Some(vec![Level::Name, Level::Name, Level::Name])
        );
    }
}
