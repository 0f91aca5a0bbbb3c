//! Whether two samples differ.

/// A sample.
#[derive(Default)]
pub struct Times(pub Vec<f64>);

impl Times {
    /// The middle one; 0 of none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    /// The average.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / count(self.0.len())
    }
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Mann-Whitney's U of two samples, by the normal approximation with ranks of ties shared: the probability to see a difference
/// as large as this or larger where there is none (two-sided).
pub fn mann_whitney(a: &Times, b: &Times) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.0.iter().map(|t| (*t, true)).chain(b.0.iter().map(|t| (*t, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let same = all[at..].iter().take_while(|(time, _)| *time == all[at].0).count();
        let rank = count(at) + (count(same) + 1.0) / 2.0;
        rank_sum += rank * count(all[at..at + same].iter().filter(|(_, first)| *first).count());
        ties += count(same).powi(3) - count(same);
        at += same;
    }
    let (n, m) = (count(a.0.len()), count(b.0.len()));
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let deviation = (n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)))).sqrt();
    erfc(((u - n * m / 2.0).abs() - 0.5).max(0.0) / deviation / std::f64::consts::SQRT_2)
}

/// Abramowitz and Stegun, 7.1.26: to seven digits.
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let p = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    p.iter().rev().fold(0.0, |sum, c| (sum + c) * t) * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistic_finds_a_difference_and_finds_none_where_there_is_none() {
        let times =
            |from: u32, step: u32| Times((0..200).map(|n| f64::from(from + n * step % 199)).collect());
        assert!(mann_whitney(&times(100, 7), &times(100, 11)) > 0.9);
        assert!(mann_whitney(&times(100, 7), &times(130, 11)) < 0.001);
        // by hand: U = 4.5 of a mean of 12.5, variance 22.5 with its ties, z = 7.5 / 4.743 with the continuity correction
        let (a, b) = (Times(vec![1.0, 2.0, 3.0, 4.0, 5.0]), Times(vec![3.0, 4.0, 5.0, 6.0, 7.0]));
        assert!((mann_whitney(&a, &b) - 0.113_85).abs() < 0.0005, "{}", mann_whitney(&a, &b));
    }
}
