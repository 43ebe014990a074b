//! The report as a page: one file, with pictures of what happened when.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write as _},
    time::{Duration, Instant},
};

use super::{
    Report,
    timeline::{Fault, Timeline},
};

/// The time of one picture, and its bars.
const STRIP: Duration = Duration::from_secs(300);
const BARS: u32 = 300;
/// The size of one picture; below the bars is a band with the faults.
const WIDTH: f64 = 1500.0;
const BARS_HEIGHT: f64 = 90.0;
const BAND_HEIGHT: f64 = 16.0;
/// Times of recovery are drawn between these, as powers of ten of a millisecond.
const DECADES: [f64; 2] = [0.0, 5.0];
/// The color of each kind of fault.
type Colors<'r> = BTreeMap<&'r str, String>;

/// A report as a page that needs nothing else.
///
/// ```
/// use memgen_tests::chaos::{Page, Report};
/// let page = Page(&Report::default()).to_string();
/// assert!(page.contains("0 faults, each seen to have had its effect"));
/// ```
#[derive(Debug)]
pub struct Page<'a>(pub &'a Report);

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let timeline = &report.timeline;
        let kinds_of_faults = timeline.kinds();
        // Each hue far from those before it.
        let colors = (0_u32..).map(|number| format!("hsl({} 60% 45%)", number * 137 % 360));
        let colors: Colors<'_> = kinds_of_faults.keys().copied().zip(colors).collect();
        f.write_str(HEAD)?;
        let violations = report.violations();
        let verdict = if violations.is_empty() {
            "no violation"
        } else {
            "VIOLATIONS"
        };
        writeln!(
            f,
            "<h1>Chaos: {verdict}</h1>\n<p>{} faults, each seen to have had its effect, and {} that were not seen to; {} requests, {} errors.</p>",
            timeline.confirmed(),
            timeline.faults.len() - timeline.confirmed(),
            timeline.answered.len(),
            timeline.failed.len(),
        )?;
        for violation in violations {
            writeln!(f, "<p class=wrong>{}</p>", Text(violation))?;
        }
        kinds(f, timeline, &colors)?;
        writeln!(
            f,
            "<h2>What happened when</h2>\n<p>Bars: requests that were answered in a second. Red below them: errors that clients were told. Bands: faults; hollow ones were not seen to have had their effect.</p>"
        )?;
        for number in 0..strips(timeline) {
            strip(f, timeline, number, &colors)?;
        }
        writeln!(f, "<h2>Counts</h2>\n<table>")?;
        for (name, count) in report.counts() {
            writeln!(f, "<tr><td>{}<td class=number>{count}</tr>", Text(name))?;
        }
        writeln!(f, "</table>")
    }
}

const HEAD: &str = "<!doctype html>
<html lang=en><meta charset=utf-8><title>Chaos</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; padding: 0 1em; color: #222; background: #fff }
h1, h2 { font-weight: 600 } h2 { margin-top: 2em }
table { border-collapse: collapse } td, th { padding: .15em .8em; text-align: left; border-bottom: 1px solid #ddd }
td:first-child, .number { white-space: nowrap }
.number { text-align: right; font-variant-numeric: tabular-nums } .wrong { color: #b00; font-weight: 600 }
svg { display: block; width: 100%; height: auto; margin: .4em 0 } text { font: 11px system-ui, sans-serif; fill: #555 }
</style>
";

/// How many pictures there are.
fn strips(timeline: &Timeline) -> u32 {
    let faults = timeline.faults.iter().map(|fault| fault.to);
    let last = timeline.answered.iter().copied().chain(faults).max();
    let time = last.map_or(Duration::ZERO, |last| last - timeline.began);
    u32::try_from(time.as_secs() / STRIP.as_secs()).unwrap_or(u32::MAX) + 1
}

/// A row for each kind of fault, with its times of recovery as dots.
fn kinds(f: &mut fmt::Formatter<'_>, timeline: &Timeline, colors: &Colors<'_>) -> fmt::Result {
    writeln!(
        f,
        "<h2>Recovery</h2>\n<p>The longest that any client of what was harmed waited for its answer, for each fault.</p>\n<table>"
    )?;
    writeln!(
        f,
        "<tr><th>fault<th>confirmed<th>p50<th>p99<th>max<th>each, from 1 ms to 100 s<th>seen by, for example</tr>"
    )?;
    for (name, kind) in timeline.kinds() {
        let [_, p50, p99, max] = kind.recoveries.cells();
        let color = &colors[name];
        write!(
            f,
            "<tr><td><svg viewBox='0 0 10 10' style='display:inline;width:.8em;margin:0 .5em 0 0'><rect width=10 height=10 fill='{color}'/></svg>{}<td class=number>{} of {}<td class=number>{p50}<td class=number>{p99}<td class=number>{max}<td>",
            Text(name),
            kind.confirmed,
            kind.number,
        )?;
        write!(f, "<svg viewBox='0 0 300 16' style='width:300px;margin:0'>")?;
        let [least, most] = DECADES;
        for decade in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] {
            let x = 300.0 * (decade - least) / (most - least);
            write!(f, "<line x1={x} x2={x} y1=0 y2=16 stroke='#ddd'/>")?;
        }
        for time in kind.recoveries.times() {
            let power = (time.as_secs_f64() * 1000.0).max(1.0).log10();
            let x = 300.0 * (power - least) / (most - least);
            write!(
                f,
                "<circle cx={x:.1} cy=8 r=3 fill='{color}' fill-opacity=.5 />"
            )?;
        }
        let sign = timeline
            .faults
            .iter()
            .find(|fault| fault.kind == name && fault.sign.is_some());
        let sign = sign.and_then(|fault| fault.sign.as_deref()).unwrap_or("-");
        // A line of a node's log may be long.
        let sign: String = sign.chars().take(120).collect();
        writeln!(f, "</svg><td>{}</tr>", Text(&sign))?;
    }
    writeln!(f, "</table>")
}

/// One picture.
fn strip(
    f: &mut fmt::Formatter<'_>,
    timeline: &Timeline,
    number: u32,
    colors: &Colors<'_>,
) -> fmt::Result {
    let from = timeline.began + STRIP * number;
    let (to, bar) = (from + STRIP, STRIP / BARS);
    let answered = bars(&timeline.answered, from, bar);
    let failed = bars(&timeline.failed, from, bar);
    let most = answered.iter().copied().max().unwrap_or(0).max(1);
    let (width, faults_at) = (WIDTH / f64::from(BARS), BARS_HEIGHT + 8.0);
    let height = faults_at + BAND_HEIGHT + 16.0;
    write!(
        f,
        "<svg viewBox='0 0 {WIDTH} {height}' role=img aria-label='minutes {} to {}'>",
        number * 5,
        number * 5 + 5
    )?;
    let mut shape = String::new();
    for (at, count) in (0_u32..).zip(&answered) {
        let tall = BARS_HEIGHT * f64::from(*count) / f64::from(most);
        let x = f64::from(at) * width;
        write!(
            shape,
            "M{x} {BARS_HEIGHT}v{:.1}h{width}V{BARS_HEIGHT}",
            -tall
        )?;
    }
    write!(f, "<path d='{shape}' fill='#bbb'/>")?;
    for (at, count) in (0_u32..).zip(&failed).filter(|(_, count)| **count > 0) {
        let x = f64::from(at) * width;
        write!(
            f,
            "<rect x={x} y={BARS_HEIGHT} width={width} height=6 fill='#b00'><title>{count} errors</title></rect>"
        )?;
    }
    for fault in &timeline.faults {
        if fault.from < to && fault.to > from {
            band(f, fault, [from, to], faults_at, &colors[&*fault.kind])?;
        }
    }
    write!(f, "<text x=2 y=11>{most} requests/s</text>")?;
    for minute in 0..5 {
        let x = WIDTH * f64::from(minute) / 5.0;
        write!(
            f,
            "<text x={x} y={}>{} min</text><line x1={x} x2={x} y1=0 y2={height} stroke='#ddd'/>",
            height - 3.0,
            number * 5 + minute
        )?;
    }
    writeln!(f, "</svg>")
}

/// How many of these moments are in each bar.
fn bars(moments: &[Instant], from: Instant, bar: Duration) -> Vec<u32> {
    let mut bars = vec![0; BARS as usize];
    for moment in moments {
        let since = moment.checked_duration_since(from);
        let at = since.map(|since| since.as_nanos() / bar.as_nanos());
        if let Some(count) = at.and_then(|at| bars.get_mut(usize::try_from(at).ok()?)) {
            *count += 1;
        }
    }
    bars
}

fn band(
    f: &mut fmt::Formatter<'_>,
    fault: &Fault,
    [from, to]: [Instant; 2],
    y: f64,
    color: &str,
) -> fmt::Result {
    let x = |moment: Instant| {
        let since = moment.clamp(from, to) - from;
        WIDTH * since.as_secs_f64() / STRIP.as_secs_f64()
    };
    let (begin, end) = (x(fault.from), x(fault.to));
    let fill = if fault.sign.is_some() { color } else { "none" };
    let recovery = fault.recovery.map_or_else(String::new, |time| {
        format!(", recovery {} ms", time.as_millis())
    });
    write!(
        f,
        "<rect x={begin:.1} y={y} width={:.1} height={BAND_HEIGHT} fill='{fill}' fill-opacity=.8 stroke='{color}'><title>{}: {} ms{recovery}; {}</title></rect>",
        (end - begin).max(2.0),
        Text(&fault.kind),
        (fault.to - fault.from).as_millis(),
        Text(
            fault
                .sign
                .as_deref()
                .unwrap_or("not seen to have had its effect")
        ),
    )
}

/// Text within a page.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(report: &Report, kind: &str, second: u64, sign: Option<&str>) -> Fault {
        let from = report.timeline.began + Duration::from_secs(second);
        Fault {
            kind: kind.to_owned(),
            from,
            to: from + Duration::from_secs(6),
            sign: sign.map(str::to_owned),
            recovery: Some(Duration::from_millis(second)),
        }
    }

    #[test]
    fn a_page_shows_when_what_happened_and_what_came_of_it() {
        let mut report = Report::default();
        let began = report.timeline.began;
        for (kind, second, sign) in [
            ("kill -9", 10, Some("it's gone <ended>")),
            ("kill -9", 20, Some("gone")),
            ("slow to Kafka", 310, None),
        ] {
            let fault = fault(&report, kind, second, sign);
            report.timeline.faults.push(fault);
        }
        // Ten requests in the first second, and five in the one that begins the second picture.
        report.timeline.answered = [[0; 10].as_slice(), &[300; 5]]
            .concat()
            .into_iter()
            .map(|second| began + Duration::from_secs(second))
            .collect();
        report.timeline.failed = vec![began + Duration::from_secs(12)];
        let page = Page(&report).to_string();
        for part in [
            "no violation",
            "2 faults, each seen to have had its effect, and 1 that were not seen to; 15 requests, 1 errors.",
            "kill -9<td class=number>2 of 2<td class=number>10.0 ms<td class=number>20.0 ms<td class=number>20.0 ms",
            "slow to Kafka<td class=number>0 of 1",
            "it&#39;s gone &lt;ended>",
            "10 requests/s",
            "5 requests/s",
            "x=60 y=90 width=5 height=6 fill='#b00'><title>1 errors",
            "x=50.0 y=98 width=30.0 height=16 fill='hsl(0 60% 45%)'",
            "x=50.0 y=98 width=30.0 height=16 fill='none'",
            "not seen to have had its effect",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert_eq!(page.matches("role=img").count(), 2);
        report.violation("a stale read".to_owned());
        let page = Page(&report).to_string();
        assert!(page.contains("VIOLATIONS") && page.contains("a stale read"));
        // It needs nothing else.
        assert!(!page.contains("src=") && !page.contains("href="));
    }
}
