//! Two models of a queue: what their formulas say, and what a machine that loses no time would measure.

// The benchmark and the test each use some of this.
#![allow(dead_code)]

/// How long messages take to be served. They arrive at random: times between arrivals are exponential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub(crate) enum Model {
    /// M/M/1: exponential service times.
    #[cfg_attr(feature = "cli", serde(rename = "M/M/1"))]
    Exponential,
    /// M/D/1: all the same.
    #[cfg_attr(feature = "cli", serde(rename = "M/D/1"))]
    Constant,
}

/// A queue with one consumer. Times are in seconds.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub(crate) struct Case {
    pub(crate) model: Model,
    /// Utilisation: arrival rate x mean service time.
    pub(crate) rho: f64,
    /// Mean service time.
    pub(crate) service: f64,
    /// Time before the first look, in which the queue forgets that it began empty.
    pub(crate) warm_up: f64,
    /// Time between two looks, and how often that comes: the figures are means over the windows.
    pub(crate) window: f64,
    pub(crate) windows: u32,
    /// Glances per second, at random moments.
    pub(crate) glances: f64,
    pub(crate) seed: u64,
}

/// The figures of `Stats` for a group, per second and in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub(crate) struct Figures {
    /// Q, mean number of messages that are waiting or in service: delay x throughput.
    pub(crate) waiting: f64,
    /// D, mean time from sending to the ack.
    pub(crate) delay: f64,
    /// The part of it before a consumer has the message.
    pub(crate) wait: f64,
    /// P.
    pub(crate) publish_rate: f64,
    /// C.
    pub(crate) service_rate: f64,
    /// P / C.
    pub(crate) utilisation: f64,
}

impl Figures {
    pub(crate) const NAMES: [&str; 6] =
        ["waiting", "delay", "wait", "publish_rate", "service_rate", "utilisation"];

    /// In the order of the names.
    pub(crate) fn list(&self) -> [f64; 6] {
        [
            self.waiting,
            self.delay,
            self.wait,
            self.publish_rate,
            self.service_rate,
            self.utilisation,
        ]
    }

    /// Not a number if one of them is not known.
    pub(crate) fn mean(windows: impl Iterator<Item = Figures>) -> Figures {
        let (mut sums, mut count) = ([0.0; 6], 0.0);
        for figures in windows {
            sums.iter_mut().zip(figures.list()).for_each(|(sum, figure)| *sum += figure);
            count += 1.0;
        }
        Figures::of(sums.map(|sum| sum / count))
    }

    fn of(list: [f64; 6]) -> Figures {
        let [waiting, delay, wait, publish_rate, service_rate, utilisation] = list;
        Figures { waiting, delay, wait, publish_rate, service_rate, utilisation }
    }
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Model::Exponential => "M/M/1",
            Model::Constant => "M/D/1",
        }
    }

    /// Mean number of messages at utilisation `rho`: Pollaczek and Khinchine. For M/M/1 it is rho / (1 - rho).
    pub(crate) fn waiting(self, rho: f64) -> f64 {
        let squared_variation = match self {
            Model::Exponential => 1.0,
            Model::Constant => 0.0,
        };
        rho + rho * rho * (1.0 + squared_variation) / (2.0 * (1.0 - rho))
    }
}

impl Case {
    /// What the formulas say.
    pub(crate) fn formula(&self) -> Figures {
        let (waiting, rate) = (self.model.waiting(self.rho), self.rho / self.service);
        Figures {
            waiting,
            delay: waiting / rate,
            wait: waiting / rate - self.service,
            publish_rate: rate,
            service_rate: 1.0 / self.service,
            utilisation: self.rho,
        }
    }

    /// The standard deviation of each figure over `runs` of this length on a machine that loses no time. It is known before
    /// anything is measured: a run of finite length is off by so much, whatever measures it.
    pub(crate) fn deviation(&self, runs: u32) -> Figures {
        let (mut sum, mut squares) = ([0.0; 6], [0.0; 6]);
        for run in 0..runs {
            let seed = self.seed.wrapping_add(0x5eed).wrapping_add(u64::from(run) << 20);
            let figures = Case { seed, ..*self }.plan().figures().list();
            for (n, figure) in figures.into_iter().enumerate() {
                sum[n] += figure;
                squares[n] += figure * figure;
            }
        }
        let count = f64::from(runs);
        let deviation =
            |n: usize| ((squares[n] - sum[n] * sum[n] / count) / (count - 1.0)).max(0.0).sqrt();
        Figures::of(std::array::from_fn(deviation))
    }

    pub(crate) fn plan(&self) -> Plan {
        let end = self.warm_up + self.window * f64::from(self.windows);
        let [mut arriving, mut serving, mut looking] =
            [1, 2, 3].map(|n| Random(self.seed << 8 | n));
        let (mut messages, mut free) = (Vec::new(), 0.0f64);
        let mut at = arriving.exponential(self.service / self.rho);
        while at < end {
            let service = match self.model {
                Model::Exponential => serving.exponential(self.service),
                Model::Constant => self.service,
            };
            free = free.max(at) + service;
            messages.push(Message { at, service, done: free });
            at += arriving.exponential(self.service / self.rho);
        }
        let mut glances = Vec::new();
        let mut at = self.warm_up + looking.exponential(1.0 / self.glances);
        while at < end {
            glances.push(at);
            at += looking.exponential(1.0 / self.glances);
        }
        let looks = (0..=self.windows).map(|n| self.warm_up + self.window * f64::from(n)).collect();
        Plan { messages, glances, looks }
    }
}

/// A message: when it is sent, how long it takes, and when it is acked if no time is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) at: f64,
    pub(crate) service: f64,
    pub(crate) done: f64,
}

/// A run: its messages, and the moments at which it is glanced and looked at.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) messages: Vec<Message>,
    pub(crate) glances: Vec<f64>,
    pub(crate) looks: Vec<f64>,
}

impl Plan {
    /// What `Stats` says after this run on a machine that loses no time.
    pub(crate) fn figures(&self) -> Figures {
        let (mut sent, mut done) = (0, 0);
        let mut count_at = |time: f64| {
            sent += self.messages.iter().skip(sent).take_while(|m| m.at <= time).count();
            done += self.messages.iter().skip(done).take_while(|m| m.done <= time).count();
            (sent as f64, done as f64)
        };
        let (mut glances, mut looks) = (self.glances.iter().peekable(), self.looks.iter());
        let mut begin = looks.next().copied().unwrap_or_default();
        let mut first = count_at(begin);
        let windows = looks.map(|end| {
            let (mut waiting, mut busy, mut samples) = (0.0, 0.0, 0.0);
            let mut sample = |(sent, done): (f64, f64)| {
                waiting += sent - done;
                busy += f64::from(sent > done);
                samples += 1.0;
            };
            while let Some(time) = glances.next_if(|time| *time < end) {
                sample(count_at(*time));
            }
            let last = count_at(*end);
            sample(last);
            let seconds = *end - begin;
            let (waiting, busy) = (waiting / samples, busy / samples);
            let publish_rate = (last.0 - first.0) / seconds;
            let throughput = (last.1 - first.1) / seconds;
            let service_rate = throughput / busy;
            (begin, first) = (*end, last);
            Figures {
                waiting,
                delay: waiting / throughput,
                wait: (waiting - busy) / throughput,
                publish_rate,
                service_rate,
                utilisation: publish_rate / service_rate,
            }
        });
        Figures::mean(windows)
    }
}

/// Numbers that look random, by SplitMix64: the same for the same seed.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Above 0, with this mean.
    fn exponential(&mut self, mean: f64) -> f64 {
        // 53 bits, and never 0.
        let share = ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -mean * share.ln()
    }
}
