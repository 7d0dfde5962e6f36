//! The chart of the decision: evidence of errors against the alarm, minute by minute.

use maud::{Markup, html};

use super::time::clock;
use crate::report::paper::Stabilization;

/// Width, height, and the room for words.
const SIZE: (f64, f64) = (880.0, 240.0);
const LEFT: f64 = 52.0;
const BELOW: f64 = 26.0;
/// Marks of the evidence as a share of the alarm, and what they stand for.
const MARKS: [(f64, &str, &str); 3] = [(0.25, "t-watch", "watch"), (0.5, "t-hold", "hold"), (1.0, "t-alarm", "alarm")];

/// The chart; nothing where fewer than two minutes were judged.
pub fn chart(stable: &Stabilization) -> Option<Markup> {
    let (first, last) = (stable.trail.first()?.0, stable.trail.last()?.0);
    if last <= first {
        return None;
    }
    let highest = stable.trail.iter().map(|(_, share, ..)| *share).max().unwrap_or(0) as f64 / 1e6;
    let top = highest.max(1.0) * 1.12;
    let x = |at: i64| LEFT + (at - first) as f64 / (last - first) as f64 * (SIZE.0 - LEFT - 8.0);
    let y = |share: f64| (SIZE.1 - BELOW) - (share / top).clamp(0.0, 1.0) * (SIZE.1 - BELOW - 12.0);
    let points: Vec<String> =
        stable.trail.iter().map(|(at, share, ..)| format!("{:.1},{:.1}", x(*at), y(*share as f64 / 1e6))).collect();
    let line = points.join(" ");
    let area = format!("{:.1},{:.1} {line} {:.1},{:.1}", x(first), y(0.0), x(last), y(0.0));
    let faults = stable.trail.iter().filter(|(.., errors)| *errors > 0).map(|(at, ..)| format!("{:.1}", x(*at)));
    let base = format!("{:.1}", y(0.0));
    let right = format!("{:.1}", SIZE.0 - 8.0);
    let below = format!("{:.1}", SIZE.1 - 6.0);
    let middle = first + (last - first) / 2;
    Some(html! {
        svg.chart viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } role="img"
            aria-label={ "Evidence of errors over time; at most " (format!("{:.0}", highest * 100.0)) " % of the alarm" } {
            line.grid x1=(LEFT) x2=(right) y1=(base) y2=(base) {}
            @for (share, class, words) in MARKS {
                @let height = format!("{:.1}", y(share));
                line class=(class) x1=(LEFT) x2=(right) y1=(height) y2=(height) {}
                text x="0" y=(format!("{:.1}", y(share) + 4.0)) { (words) }
            }
            polygon.area points=(area) {}
            polyline.line points=(line) {}
            @for at in faults { line.fault x1=(at) x2=(at) y1=(base) y2=(format!("{:.1}", y(0.0) + 5.0)) {} }
            text x=(LEFT) y=(below) { (clock(first)) }
            text x=(format!("{:.1}", x(middle))) y=(below) text-anchor="middle" { (clock(middle)) }
            text x=(right) y=(below) text-anchor="end" { (clock(last)) " UTC" }
        }
    })
}
