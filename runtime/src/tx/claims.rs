//! Claims: keys that others leave for a moment to a transaction that has lost often. So the older one wins in the end, however hot its keys are.
//!
//! A claim is no lock. It promises nothing, is in no log, ends by itself, and makes others only step back: one that is lost or wrong costs time and nothing else.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::TxId;

/// How long a claim lasts: enough to read again what is claimed, and to prepare.
const CLAIM_MAX: Duration = Duration::from_millis(500);

/// Who has claimed a key.
#[derive(Debug)]
struct Claim {
    /// How often it has lost. Who has lost more often has the key; of two that have lost as often, the one with the higher id.
    losses: u32,
    id: TxId,
    until: Instant,
}

/// All keys that are claimed.
#[derive(Debug)]
pub(crate) struct Claims<K>(BTreeMap<K, Claim>);

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Claims<K> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nobody else has claimed the key. A command has no id.
    pub(crate) fn may_have(&self, key: &K, id: Option<TxId>) -> bool {
        self.is_empty() || self.0.get(key).is_none_or(|claim| Some(claim.id) == id)
    }

    /// Claims a key, unless one has it that has lost more often.
    pub(crate) fn claim(&mut self, key: K, id: TxId, losses: u32, now: Instant) {
        let claim = Claim {
            losses,
            id,
            until: now + CLAIM_MAX,
        };
        let before = self.0.get(&key);
        if before.is_none_or(|it| it.id == id || (it.losses, it.id) < (losses, id)) {
            self.0.insert(key, claim);
        }
    }

    /// The transaction needs its claims no more. Gives the keys that it had.
    pub(crate) fn release(&mut self, id: TxId) -> Vec<K> {
        self.end(|claim| claim.id == id)
    }

    /// Ends what has lasted long enough. Gives the keys.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<K> {
        self.end(|claim| claim.until <= now)
    }

    fn end(&mut self, ends: impl Fn(&Claim) -> bool) -> Vec<K> {
        let mut ended = Vec::new();
        self.0.retain(|key, claim| {
            let ends = ends(claim);
            if ends {
                ended.push(key.clone());
            }
            !ends
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_lost_more_often_has_the_key() {
        let (one, two) = (TxId::of(1), TxId::of(2));
        let now = Instant::now();
        let mut claims = Claims::default();
        assert!(claims.may_have(&"a", None));
        claims.claim("a", one, 4, now);
        claims.claim("a", two, 3, now);
        assert!(claims.may_have(&"a", Some(one)) && !claims.may_have(&"a", Some(two)));
        assert!(!claims.may_have(&"a", None) && claims.may_have(&"b", None));
        claims.claim("a", two, 4, now);
        claims.claim("b", one, 4, now);
        assert!(claims.may_have(&"a", Some(two)), "the other one as often");
        assert_eq!(claims.release(one), ["b"]);
        claims.claim("b", one, 5, now + CLAIM_MAX);
        assert_eq!(claims.expire(now + CLAIM_MAX), ["a"]);
        assert!(!claims.may_have(&"b", None));
    }
}
