//! A figure, with how much it can be relied on.

use std::fmt;

/// A figure, and how it was found; or why it is not known. An unknown figure is never shown as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Figure<T = f64> {
    /// Counted, or the difference of two counts.
    Measured(T),
    /// From samples at single moments, or by a model that holds only about.
    Estimated(T),
    /// It is this or more.
    AtLeast(T),
    /// Not known.
    Unknown(Unknown),
}

/// Why a figure is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// There was one look only; it takes two.
    OneLook,
    /// There were too few samples between the looks.
    FewSamples,
    /// Nothing was acked between the looks, because nothing was there.
    Idle,
    /// Messages waited, and none was acked between the looks.
    Stalled,
    /// What waits grew or shrank by more than a tenth of what was acked: a mean says nothing.
    NotSteady,
    /// What waits does not grow.
    NotGrowing,
    /// What waits does not shrink.
    NotShrinking,
    /// The group has no live consumer.
    NoConsumer,
    /// No message waits.
    NothingWaits,
    /// The counts that it comes from lag behind, and have not moved.
    Lags,
    /// The group was made or removed, or members claimed, while it was read.
    Unsettled,
}

impl Unknown {
    /// The reason as a word for programs. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Unknown::OneLook => "one-look",
            Unknown::FewSamples => "few-samples",
            Unknown::Idle => "idle",
            Unknown::Stalled => "stalled",
            Unknown::NotSteady => "not-steady",
            Unknown::NotGrowing => "not-growing",
            Unknown::NotShrinking => "not-shrinking",
            Unknown::NoConsumer => "no-consumer",
            Unknown::NothingWaits => "nothing-waits",
            Unknown::Lags => "lags",
            Unknown::Unsettled => "unsettled",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unknown::OneLook => "it takes two looks",
            Unknown::FewSamples => "too few samples yet",
            Unknown::Idle => "nothing was acked, because nothing was there",
            Unknown::Stalled => "nothing is acked",
            Unknown::NotSteady => "no steady state",
            Unknown::NotGrowing => "not growing",
            Unknown::NotShrinking => "not shrinking",
            Unknown::NoConsumer => "no consumer",
            Unknown::NothingWaits => "nothing waits",
            Unknown::Lags => "the counts lag",
            Unknown::Unsettled => "read while it changed",
        })
    }
}

impl<T> Figure<T> {
    /// The value, or its lower bound.
    pub fn value(self) -> Option<T> {
        match self {
            Figure::Measured(value) | Figure::Estimated(value) | Figure::AtLeast(value) => {
                Some(value)
            }
            Figure::Unknown(_) => None,
        }
    }

    /// How it was found, as a word for programs: `measured`, `estimated`, `at-least` or `unknown`. They never change.
    pub fn kind(&self) -> &'static str {
        match self {
            Figure::Measured(_) => "measured",
            Figure::Estimated(_) => "estimated",
            Figure::AtLeast(_) => "at-least",
            Figure::Unknown(_) => "unknown",
        }
    }

    /// Why it is not known, if it is not.
    pub fn unknown(&self) -> Option<Unknown> {
        match self {
            Figure::Unknown(why) => Some(*why),
            _ => None,
        }
    }

    /// Applies `f` to the value. How it was found stays.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Figure<U> {
        match self {
            Figure::Measured(value) => Figure::Measured(f(value)),
            Figure::Estimated(value) => Figure::Estimated(f(value)),
            Figure::AtLeast(value) => Figure::AtLeast(f(value)),
            Figure::Unknown(why) => Figure::Unknown(why),
        }
    }
}
