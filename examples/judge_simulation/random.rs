//! Chance that can be repeated: a small generator (xoshiro256++) and numbers of events drawn from a table.

/// The generator.
pub struct Random([u64; 4]);

impl Random {
    /// The same seed gives the same day for ever.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            // splitmix64, as the generator's authors advise for its seed.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Self([next(), next(), next(), next()])
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        let state = &mut self.0;
        let result = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// From 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that has this chance.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.share() < chance
    }

    /// A whole number from 0 up to, not including, `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        (self.share() * below as f64) as u64
    }
}

/// How many events come in a minute when they come at random, with this mean (Poisson).
pub struct Events {
    /// The chance of at most so many events.
    sums: Vec<f64>,
    /// Where to begin to look, by the first bits of the draw.
    guide: Vec<u16>,
}

impl Events {
    /// Prepares the table.
    pub fn new(mean: f64) -> Self {
        let (mut sums, mut chance, mut sum) = (Vec::new(), (-mean).exp(), 0.0);
        for number in 1..2000_u32 {
            sum += chance;
            sums.push(sum);
            chance *= mean / f64::from(number);
            if sum > 1.0 - 1e-15 || (chance < 1e-18 && f64::from(number) > mean) {
                break;
            }
        }
        let begin = |part: u16| sums.partition_point(|sum| *sum <= f64::from(part) / 256.0) as u16;
        let guide = (0..256).map(begin).collect();
        Self { sums, guide }
    }

    /// Draws a number of events.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let share = random.share();
        let mut at = usize::from(self.guide[(share * 256.0) as usize]);
        while at + 1 < self.sums.len() && share >= self.sums[at] {
            at += 1;
        }
        at as u64
    }
}
