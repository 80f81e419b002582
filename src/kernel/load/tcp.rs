//! TCP streams: one thread writes blocks, one reads them, a pair a stream.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Counter, Ends, Error, LOOK_UP, PATIENCE, Timing, is_timeout};
use crate::kernel::machine;
use crate::kernel::wait::Stop;

/// Bytes of one write and of one read, as of iperf3.
const BLOCK: usize = 128 << 10;

/// How many streams which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// From the client to the server.
    pub there: usize,
    /// From the server to the client.
    pub back: usize,
}

/// What was received within the window, all streams together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Bits a second.
    pub rate: f64,
    /// Processor seconds of the whole machine for 2^30 bytes.
    pub cpu_per_gib: f64,
}

/// Sends as fast as TCP does.
///
/// # Errors
/// No connection, or nothing came through.
pub fn transfer(
    ends: &Ends,
    streams: Streams,
    timing: Timing,
    stop: &Stop,
) -> Result<Transfer, Error> {
    let lanes = Lane::open(ends, streams)?;
    let look = || {
        let received: u64 = lanes.iter().map(|lane| lane.received.read()).sum();
        (received, machine::busy_seconds())
    };
    let [(begin, first), (end, last)] = while_sending(ends, &lanes, || timing.watch(stop, look))??;
    let bytes = last.0.saturating_sub(first.0) as f64;
    if bytes == 0.0 {
        return Err(ends.nothing());
    }
    Ok(Transfer {
        rate: bytes * 8.0 / end.duration_since(begin).as_secs_f64(),
        cpu_per_gib: (last.1 - first.1) / (bytes / f64::from(1 << 30)),
    })
}

/// Runs `work` beside the streams, then ends them.
pub(super) fn while_sending<T>(
    ends: &Ends,
    lanes: &[Lane],
    work: impl FnOnce() -> T,
) -> Result<T, Error> {
    let over = AtomicBool::new(false);
    let (result, sent) = std::thread::scope(|scope| {
        let over = &over;
        let threads: Vec<_> = lanes
            .iter()
            .flat_map(|lane| {
                let sender = scope.spawn(move || lane.send(over));
                [sender, scope.spawn(move || lane.receive(over))]
            })
            .collect();
        let result = work();
        over.store(true, Ordering::Relaxed);
        for lane in lanes {
            lane.end();
        }
        let sent: io::Result<Vec<()>> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok(())))
            .collect();
        (result, sent)
    });
    sent.map_err(ends.failed("send to"))?;
    Ok(result)
}

/// One stream, one way.
#[derive(Debug)]
pub(super) struct Lane {
    sender: TcpStream,
    receiver: TcpStream,
    received: Counter,
}

impl Lane {
    pub(super) fn open(ends: &Ends, streams: Streams) -> Result<Vec<Self>, Error> {
        let pairs = connections(ends, streams.there + streams.back)?;
        let mut lanes = Vec::new();
        for (n, (client, server)) in pairs.into_iter().enumerate() {
            let (sender, receiver) = match n < streams.there {
                true => (client, server),
                false => (server, client),
            };
            lanes.push(Self {
                sender,
                receiver,
                received: Counter::default(),
            });
        }
        Ok(lanes)
    }

    fn send(&self, over: &AtomicBool) -> io::Result<()> {
        let block = vec![0_u8; BLOCK];
        let mut sender = &self.sender;
        while !over.load(Ordering::Relaxed) {
            match sender.write(&block) {
                Err(error) if !is_timeout(&error) => return unless(over, error),
                _ => {}
            }
        }
        Ok(())
    }

    fn receive(&self, over: &AtomicBool) -> io::Result<()> {
        let mut block = vec![0_u8; BLOCK];
        let mut receiver = &self.receiver;
        while !over.load(Ordering::Relaxed) {
            match receiver.read(&mut block) {
                Ok(0) => return unless(over, io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.received.add(n as u64),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return unless(over, error),
            }
        }
        Ok(())
    }

    /// Wakes both threads. A connection that is gone already needs no end.
    fn end(&self) {
        self.receiver.shutdown(Shutdown::Both).ok();
        self.sender.shutdown(Shutdown::Both).ok();
    }
}

/// After the end, errors only tell that it has come.
fn unless(over: &AtomicBool, error: io::Error) -> io::Result<()> {
    match over.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(error),
    }
}

/// Pairs of client and server.
pub(super) fn connections(ends: &Ends, count: usize) -> Result<Vec<(TcpStream, TcpStream)>, Error> {
    let failed = ends.failed("connect to");
    let listener = ends.to.run(|| listen(ends.address)).flatten();
    let listener = listener.map_err(ends.failed("listen at"))?;
    let server = listener.local_addr().map_err(failed)?;
    let connect = || -> io::Result<(TcpStream, TcpStream)> {
        let client = ends
            .from
            .run(|| TcpStream::connect_timeout(&server, PATIENCE))
            .flatten()?;
        // It is connected: nobody has to be waited for.
        let (server, _) = listener.accept()?;
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(LOOK_UP))?;
            stream.set_write_timeout(Some(LOOK_UP))?;
        }
        Ok((client, server))
    };
    let pairs: io::Result<Vec<_>> = (0..count).map(|_| connect()).collect();
    pairs.map_err(failed)
}

fn listen(address: Ipv4Addr) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((address, 0)))
}
