//! Socket options that neither nix nor socket2 knows, and bytes that the kernel wrote.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// Sets an option whose value is an int.
///
/// # Errors
/// The kernel's.
pub(super) fn set_int(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is an int that lives through the call, and its size is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The first `length` bytes of a buffer that `recv` reported to have filled; at most all of it.
pub(super) fn received(buffer: &[MaybeUninit<u8>], length: usize) -> &[u8] {
    let filled = buffer.get(..length).unwrap_or_default();
    // SAFETY: the kernel initialised these bytes, and a MaybeUninit<u8> has the layout of a u8.
    unsafe { std::slice::from_raw_parts(filled.as_ptr().cast(), filled.len()) }
}
