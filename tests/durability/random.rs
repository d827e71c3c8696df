//! Randomness that a seed repeats.

/// Splitmix64: enough to vary a test, and to run the same one again.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The seed of `A2AD_TEST_SEED`, else a new one; printed, so that a failure can be repeated.
    pub fn from_environment() -> Self {
        let seed = match std::env::var("A2AD_TEST_SEED") {
            Ok(text) => text.parse().expect("A2AD_TEST_SEED is a number"),
            Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        };
        eprintln!("A2AD_TEST_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Another generator, so that what one client does doesn't depend on how fast another is.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
