//! The order in which tables are filled while foreign keys stand: what is pointed to comes first, a cycle stays together.

use std::collections::HashMap;

use super::catalog::{Table, TableName};

/// Groups of things, each after all that it needs: `needs[a]` holds the things that `a` points to. Things that need
/// each other, by whatever way, are one group. Within a group, and wherever nothing else decides, the given order is kept.
pub fn groups(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut search = Search {
        needs,
        number: vec![0; needs.len()],
        low: vec![0; needs.len()],
        is_open: vec![false; needs.len()],
        open: Vec::new(),
        next: 1,
        groups: Vec::new(),
    };
    for start in 0..needs.len() {
        if search.number[start] == 0 {
            search.visit(start);
        }
    }
    search.groups
}

/// Sorts tables by their foreign keys; `more` are pairs (from, to) that no listed foreign key says. Gives the cycles:
/// groups of two and more tables that point to each other.
pub fn sort(tables: &mut Vec<Table>, more: &[(TableName, TableName)]) -> Vec<Vec<TableName>> {
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    let places: HashMap<&TableName, usize> = tables.iter().enumerate().map(|(at, table)| (&table.name, at)).collect();
    let mut needs: Vec<Vec<usize>> = tables
        .iter()
        .map(|table| table.foreign_keys.iter().filter_map(|key| places.get(&key.to).copied()).collect())
        .collect();
    for (from, to) in more {
        if let (Some(from), Some(to)) = (places.get(from), places.get(to)) {
            needs[*from].push(*to);
        }
    }
    let groups = groups(&needs);
    let mut left: Vec<Option<Table>> = std::mem::take(tables).into_iter().map(Some).collect();
    let mut cycles = Vec::new();
    for group in groups {
        let group: Vec<Table> = group.into_iter().filter_map(|at| left[at].take()).collect();
        if group.len() > 1 {
            cycles.push(group.iter().map(|table| table.name.clone()).collect());
        }
        tables.extend(group);
    }
    cycles
}

/// Tarjan's search for strongly connected components, with its own stack: a long chain of tables must not end the
/// program.
struct Search<'a> {
    needs: &'a [Vec<usize>],
    /// When a thing was first seen, from 1; 0 where it was not.
    number: Vec<usize>,
    /// The earliest thing still open that can be reached from it.
    low: Vec<usize>,
    is_open: Vec<bool>,
    open: Vec<usize>,
    next: usize,
    groups: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, start: usize) {
        self.enter(start);
        let mut way = vec![(start, 0)];
        while let Some((thing, step)) = way.last_mut() {
            let thing = *thing;
            let Some(&need) = self.needs[thing].get(*step) else {
                way.pop();
                self.leave(thing);
                if let Some((before, _)) = way.last() {
                    self.low[*before] = self.low[*before].min(self.low[thing]);
                }
                continue;
            };
            *step += 1;
            if self.number[need] == 0 {
                self.enter(need);
                way.push((need, 0));
            } else if self.is_open[need] {
                self.low[thing] = self.low[thing].min(self.number[need]);
            }
        }
    }

    fn enter(&mut self, thing: usize) {
        self.number[thing] = self.next;
        self.low[thing] = self.next;
        self.next += 1;
        self.is_open[thing] = true;
        self.open.push(thing);
    }

    /// The first thing of a group closes it: everything opened after it belongs to it.
    fn leave(&mut self, thing: usize) {
        if self.low[thing] != self.number[thing] {
            return;
        }
        let begin = self.open.iter().rposition(|open| *open == thing).unwrap_or(0);
        let mut group = self.open.split_off(begin);
        group.iter().for_each(|thing| self.is_open[*thing] = false);
        group.sort_unstable();
        self.groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_pointed_to_comes_first() {
        // 0 → 2, 1 → 0
        assert_eq!(groups(&[vec![2], vec![0], vec![]]), [vec![2], vec![0], vec![1]]);
    }

    #[test]
    fn a_cycle_stays_together_after_what_it_needs() {
        // 0 ⇄ 2, 2 → 3, 1 → 0
        assert_eq!(groups(&[vec![2], vec![0], vec![0, 3], vec![]]), [vec![3], vec![0, 2], vec![1]]);
    }

    #[test]
    fn what_points_to_itself_is_no_cycle_of_several() {
        assert_eq!(groups(&[vec![0], vec![1]]), [vec![0], vec![1]]);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_end_the_program() {
        let count = 100_000;
        let needs: Vec<Vec<usize>> = (0..count).map(|at| if at + 1 < count { vec![at + 1] } else { vec![] }).collect();
        assert_eq!(groups(&needs).first(), Some(&vec![count - 1]));
    }

    proptest! {
        #[test]
        fn every_thing_stands_once_and_after_all_it_needs_outside_its_group(
            needs in proptest::collection::vec(proptest::collection::vec(0usize..12, 0..4), 12)
        ) {
            let groups = groups(&needs);
            let mut place = [usize::MAX; 12];
            for (at, group) in groups.iter().enumerate() {
                for thing in group {
                    prop_assert_eq!(place[*thing], usize::MAX);
                    place[*thing] = at;
                }
            }
            let reaches = |from: usize, to: usize| {
                let (mut seen, mut left) = ([false; 12], vec![from]);
                while let Some(thing) = left.pop() {
                    if thing == to { return true; }
                    if !std::mem::replace(&mut seen[thing], true) { left.extend(&needs[thing]); }
                }
                false
            };
            for thing in 0..12 {
                prop_assert!(place[thing] < groups.len());
                for other in 0..12 {
                    if reaches(thing, other) { prop_assert!(place[other] <= place[thing]); }
                    let is_together = reaches(thing, other) && reaches(other, thing);
                    prop_assert_eq!(is_together, place[thing] == place[other]);
                }
            }
        }
    }
}
