//! What belongs to events, found by their ids. An id is its source's own: two sources may use the
//! same one, and then there are several.

use std::collections::HashMap;

use smallvec::SmallVec;
use uuid::Uuid;

/// See the module. `T` sorts by age.
#[derive(Debug)]
pub(super) struct ById<T> {
    ids: HashMap<Uuid, SmallVec<[T; 1]>>,
    len: usize,
}

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            len: 0,
        }
    }
}

impl<T: Ord + Copy> ById<T> {
    pub(super) fn insert(&mut self, id: Uuid, one: T) {
        let of_id = self.ids.entry(id).or_default();
        if let Err(place) = of_id.binary_search(&one) {
            of_id.insert(place, one);
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: Uuid, one: T) {
        let Some(of_id) = self.ids.get_mut(&id) else {
            return;
        };
        if let Ok(place) = of_id.binary_search(&one) {
            of_id.remove(place);
            self.len -= 1;
        }
        if of_id.is_empty() {
            self.ids.remove(&id);
        }
    }

    pub(super) fn newest_first(&self, id: Uuid) -> impl Iterator<Item = T> + '_ {
        self.ids.get(&id).into_iter().flatten().rev().copied()
    }

    /// How many there are, of all ids.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_an_id_are_kept_apart_and_leave_nothing_behind() {
        let mut by_id = ById::default();
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        for (id, place) in [(one, 2), (one, 1), (other, 3), (one, 4), (one, 2)] {
            by_id.insert(id, place);
        }
        assert!(by_id.newest_first(one).eq([4, 2, 1]));
        assert_eq!(by_id.len(), 4);
        by_id.remove(one, 4);
        by_id.remove(one, 4);
        assert!(by_id.newest_first(one).eq([2, 1]));
        by_id.remove(one, 1);
        by_id.remove(one, 2);
        by_id.remove(other, 3);
        assert_eq!((by_id.ids.len(), by_id.len()), (0, 0));
    }
}
