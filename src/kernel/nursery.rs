//! Processes in network namespaces that end with their parent, however that ends.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid, sethostname};

use super::netns::Netns;

/// Starts processes and outlives them: the kernel ends a process of the nursery when the nursery's thread ends.
#[derive(Debug)]
pub struct Nursery {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    command: Command,
    namespace: Netns,
    hostname: String,
    answer: Sender<io::Result<Child>>,
}

impl Nursery {
    /// An empty one.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn new() -> io::Result<Self> {
        let (orders, incoming) = mpsc::channel::<Order>();
        let thread = std::thread::Builder::new()
            .name("nursery".into())
            .spawn(move || {
                for order in incoming {
                    let child = start(order.command, &order.namespace, &order.hostname);
                    // Who does not wait for the answer cannot use the child: it goes with the nursery.
                    drop(order.answer.send(child));
                }
            })?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Starts a program in a namespace, on a host of that name.
    ///
    /// # Errors
    /// No such program, no CAP_SYS_ADMIN.
    pub fn spawn(&self, command: Command, namespace: &Netns, hostname: &str) -> io::Result<Child> {
        let (answer, answered) = mpsc::channel();
        let order = Order {
            command,
            namespace: namespace.clone(),
            hostname: hostname.to_owned(),
            answer,
        };
        let gone = || io::Error::other("the thread that starts processes is gone");
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(order).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // It only ends when it has nothing more to do.
            drop(thread.join());
        }
    }
}

/// Becomes a program in a namespace, on a host of that name; returns only where that fails.
pub fn become_program(mut command: Command, namespace: &Netns, hostname: &str) -> io::Error {
    match enter(namespace, hostname) {
        Ok(()) => command.exec(),
        Err(error) => error,
    }
}

/// The calling thread goes there, and what it starts with it.
fn enter(namespace: &Netns, hostname: &str) -> io::Result<()> {
    setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
    unshare(CloneFlags::CLONE_NEWUTS)?;
    sethostname(hostname)?;
    Ok(())
}

fn start(mut command: Command, namespace: &Netns, hostname: &str) -> io::Result<Child> {
    enter(namespace, hostname)?;
    let parent = getpid();
    // SAFETY: prctl and getppid are single system calls, allowed between fork and exec; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have ended before the call.
            if getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    command.spawn()
}
