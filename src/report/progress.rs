//! A spinner or a bar on stderr while something takes its time. Nothing is drawn without a terminal.

use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows that something is going on until it is dropped.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Starts.
    pub fn start(what: impl Into<Cow<'static, str>>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Says what goes on now.
    pub fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.0.set_message(what);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how far something long has come, until it is dropped.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Of so many steps.
    pub fn start(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left: {msg:32}");
        // The template is a constant: where it is no good, the default one does.
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    /// The next step begins.
    pub fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// A step is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }

    /// Says something that stays on the screen.
    pub fn aside(&self, work: impl FnOnce()) {
        self.0.suspend(work);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
