//! Figures for people: short, and with a mark where they are bounds.

use std::time::Duration;

use slipring::ProcessState::{Dead, Stopped};
use slipring::{ConsumerStats, Figure, GroupStats, Stats};

/// A figure as `form` shows it: "≥" before a lower bound, "-" if it is not known.
pub(crate) fn show<T>(figure: Figure<T>, form: impl FnOnce(T) -> String) -> String {
    let bound = matches!(figure, Figure::AtLeast(_));
    match figure.value() {
        Some(value) if bound => format!("≥{}", form(value)),
        Some(value) => form(value),
        None => "-".to_owned(),
    }
}

/// Messages a second, in five characters: 0.0, 9.9, 310, 13.8k, 1.20M.
pub(crate) fn rate(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.1}"),
        ..999.5 => format!("{value:.0}"),
        ..99_950.0 => format!("{:.1}k", value / 1e3),
        ..999_500.0 => format!("{:.0}k", value / 1e3),
        ..99_950_000.0 => format!("{:.2}M", value / 1e6),
        ..999_500_000.0 => format!("{:.0}M", value / 1e6),
        _ => format!("{:.2}G", value / 1e9),
    }
}

/// A count, in five characters.
pub(crate) fn count(number: u64) -> String {
    if number < 10_000 { number.to_string() } else { rate(number as f64) }
}

/// A share of 1, as per cent.
pub(crate) fn share(value: f64) -> String {
    format!("{:.0}%", value * 100.0)
}

/// A time in the unit that leaves up to three digits: <1us, 6.7us, 11.5ms, 4.6s, 42s, 5min, 2h, 3d.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let of = |value: f64, unit: &str| match value {
        ..9.95 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    };
    match seconds {
        0.0 => "0s".to_owned(),
        ..1e-6 => "<1us".to_owned(),
        ..999.5e-6 => of(seconds * 1e6, "us"),
        ..0.9995 => of(seconds * 1e3, "ms"),
        ..99.5 => of(seconds, "s"),
        ..5970.0 => format!("{:.0}min", seconds / 60.0),
        ..172_800.0 => format!("{:.0}h", seconds / 3600.0),
        ..8_640_000.0 => format!("{:.0}d", seconds / 86_400.0),
        _ => ">99d".to_owned(),
    }
}

/// The part of the ring that is in use.
pub(crate) fn used(stats: &Stats) -> f64 {
    stats.used as f64 / stats.snapshot.capacity.max(1) as f64
}

/// Whether a consumer counts as one: it lives, or it died with messages.
pub(crate) fn counts(member: &ConsumerStats) -> bool {
    member.process.state != Dead || member.holds.is_some()
}

/// Live consumers, of those that are known: "2/3" if one is dead or stopped.
pub(crate) fn consumers(group: &GroupStats) -> String {
    let runs = |member: &&ConsumerStats| !matches!(member.process.state, Dead | Stopped);
    let working = group.members.iter().filter(runs).count();
    let all = group.members.iter().filter(|member| counts(member)).count();
    if working == all { all.to_string() } else { format!("{working}/{all}") }
}

#[cfg(test)]
mod tests {
    use slipring::Unknown;

    use super::*;

    #[test]
    fn rates_have_at_most_five_characters() {
        let values = [0.0, 9.94, 9.96, 310.4, 999.6, 13_840.0, 999_400.0, 1_204_000.0, 2e9];
        let shown = values.map(rate);
        assert_eq!(shown, ["0.0", "9.9", "10", "310", "1.0k", "13.8k", "999k", "1.20M", "2.00G"]);
        assert_eq!([0, 9999, 13_840].map(count), ["0", "9999", "13.8k"]);
    }

    #[test]
    fn times_have_their_unit() {
        let seconds = [0.0, 5e-7, 6.7e-6, 0.0115, 0.9994, 4.6, 42.0, 300.0, 7200.0, 259_200.0];
        let shown = seconds.map(|value| time(Duration::from_secs_f64(value)));
        let expected = ["0s", "<1us", "6.7us", "12ms", "999ms", "4.6s", "42s", "5min", "2h", "3d"];
        assert_eq!(shown, expected);
        assert_eq!(time(Duration::MAX), ">99d");
    }

    #[test]
    fn an_unknown_figure_is_no_number() {
        assert_eq!(show(Figure::Unknown(Unknown::Idle), rate), "-");
        assert_eq!(show(Figure::AtLeast(1.0), rate), "≥1.0");
        assert_eq!(show(Figure::Estimated(0.71), share), "71%");
    }
}
