//! What is heard, judged cheaply enough for a build that is not optimised.

/// Mouth to ear without devices, and PESQ (wide band).
#[derive(Clone, Copy, Debug)]
pub struct Score {
    pub delay_ms: f64,
    pub pesq: f32,
}

/// The longest delay that is looked for.
const LAG_MAX: usize = 24_000;

/// Samples judged at a time, 4 s: PESQ was made for that, and the delay may change between them.
const PIECE: usize = 4 * 48_000;

/// Judges what was heard from `skip` seconds on: the median delay and the mean quality.
pub fn judge(spoken: &[f32], heard: &[f32], skip: usize) -> Score {
    let pieces = (skip * 48_000..=heard.len() - PIECE).step_by(PIECE);
    let scores = pieces.map(|at| judge_piece(&spoken[at..at + PIECE], &heard[at..]));
    let mut scores: Vec<Score> = scores.collect();
    let pesq = scores.iter().map(|score| score.pesq).sum::<f32>() / scores.len() as f32;
    scores.sort_by(|a, b| a.delay_ms.total_cmp(&b.delay_ms));
    let delay_ms = scores[scores.len() / 2].delay_ms;
    Score { delay_ms, pesq }
}

fn judge_piece(spoken: &[f32], heard: &[f32]) -> Score {
    let heard = &heard[..heard.len().min(PIECE + LAG_MAX)];
    let lag = lag(spoken, heard);
    let (spoken, heard) = (narrow(spoken), narrow(&heard[lag..]));
    let both = spoken.len().min(heard.len());
    Score {
        delay_ms: lag as f64 / 48.0,
        pesq: pesq::pesq_wb(&spoken[..both], &heard[..both]).unwrap(),
    }
}

/// By how many samples `heard` lags behind.
fn lag(spoken: &[f32], heard: &[f32]) -> usize {
    let rough = |samples: &[f32]| -> Vec<f32> {
        samples
            .chunks_exact(24)
            .map(|chunk| chunk.iter().sum())
            .collect()
    };
    let (spoken, heard) = (rough(spoken), rough(heard));
    let score =
        |lag: &usize| -> f32 { spoken.iter().zip(&heard[*lag..]).map(|(a, b)| a * b).sum() };
    let best = (0..LAG_MAX / 24).max_by(|a, b| score(a).total_cmp(&score(b)));
    best.unwrap() * 24
}

/// 48 kHz to 16-bit samples of 16 kHz.
fn narrow(samples: &[f32]) -> Vec<i16> {
    const HALF: usize = 36;
    let tap = |i: usize| {
        let x = (i as f64 - HALF as f64) * std::f64::consts::PI;
        let sinc = if x == 0.0 { 0.3 } else { (x * 0.3).sin() / x };
        (sinc * (0.5 + 0.5 * (x / (HALF + 1) as f64).cos())) as f32
    };
    let taps: Vec<f32> = (0..=2 * HALF).map(tap).collect();
    let filtered = samples.windows(taps.len()).step_by(3);
    let filtered =
        filtered.map(|window| -> f32 { window.iter().zip(&taps).map(|(a, b)| a * b).sum() });
    filtered
        .map(|sample| (sample * 32_767.0).round() as i16)
        .collect()
}
