//! Real processes: the test binary again, in a role. A role is a test that does nothing unless the
//! environment names it.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

const ROLE: &str = "SLIPRING_TEST_ROLE";
/// Marks a role's lines in what else the test harness prints.
const MARK: &str = "@@";

/// The role that this process is started in, and its arguments.
pub(crate) fn role() -> Option<Vec<String>> {
    let role = std::env::var(ROLE).ok()?;
    Some(role.split(' ').map(str::to_owned).collect())
}

/// Tells the parent.
pub(crate) fn tell(text: impl std::fmt::Display) {
    println!("{MARK}{text}");
    std::io::stdout().flush().unwrap();
}

/// Waits for the parent's next line; empty once it is gone.
pub(crate) fn hear() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A process in a role. It is killed when this is dropped.
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: Option<Lines>,
}

/// What a role tells.
pub(crate) struct Lines(BufReader<ChildStdout>);

impl Lines {
    /// The role's next line; `None` once it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // A line that the role was killed in has no end.
            if let Some((_, text)) = line.split_once(MARK)
                && let Some(text) = text.strip_suffix('\n')
            {
                return Some(text.to_owned());
            }
        }
    }
}

impl Child {
    /// Starts this test binary as `role`, whose test function is called `roles`.
    pub(crate) fn start(role: &str) -> Child {
        Child::start_under(&[], role)
    }

    /// The same under a wrapper, such as unshare(1).
    pub(crate) fn start_under(wrapper: &[&str], role: &str) -> Child {
        let own = std::env::current_exe().unwrap();
        let mut command = match wrapper {
            [] => Command::new(&own),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(&own);
                command
            }
        };
        let mut process = command
            .args(["--exact", "roles", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let lines = process.stdout.take().map(|output| Lines(BufReader::new(output)));
        Child { process, input, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The role's next line; `None` once it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.as_mut().unwrap().line()
    }

    /// All further lines, for another thread to read.
    pub(crate) fn lines(&mut self) -> Lines {
        self.lines.take().unwrap()
    }

    /// Waits for the role to say `text`.
    pub(crate) fn expect(&mut self, text: &str) {
        assert_eq!(self.line().as_deref(), Some(text));
    }

    pub(crate) fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    /// SIGKILL; returns once it is dead. Lines that it has written can still be read.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGSTOP; returns once it is stopped.
    #[allow(unsafe_code)]
    pub(crate) fn stop(&self) {
        let pid = self.process.id() as libc::pid_t;
        // SAFETY: the process is ours and was not waited for, so the pid is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
        let mut status = 0;
        // SAFETY: as above; the status goes to a local.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::WUNTRACED) }, pid);
        assert!(libc::WIFSTOPPED(status));
    }

    /// SIGCONT.
    #[allow(unsafe_code)]
    pub(crate) fn go_on(&self) {
        let pid = self.process.id() as libc::pid_t;
        // SAFETY: the process is ours and was not waited for, so the pid is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGCONT) }, 0);
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn finish(mut self) {
        self.input = None;
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Seconds of processor time that the process has used.
pub(crate) fn processor_time(child: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap()).sum();
    // USER_HZ, which is 100 on every Linux that this runs on.
    ticks / 100.0
}
