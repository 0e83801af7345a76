//! Wakers across the border, in both directions.
//!
//! `std::task::Waker` is made of functions with Rust's own calling convention, which may differ
//! between compilers, so a host's waker is lent to the plugin as [`WakerV1`] and wrapped there.

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use abi_stable::StableAbi;

/// A waker with a stable calling convention. Owns whatever `data` points to.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct WakerV1 {
    data: *const (),
    vtable: &'static WakerVTableV1,
}

#[repr(C)]
#[derive(StableAbi)]
struct WakerVTableV1 {
    clone: unsafe extern "C" fn(*const ()) -> WakerV1,
    wake: unsafe extern "C" fn(*const ()),
    wake_by_ref: unsafe extern "C" fn(*const ()),
    drop: unsafe extern "C" fn(*const ()),
}

// The lending side: `data` is a `*const Waker`, borrowed in `lend`, boxed in a clone.

static BORROWED: WakerVTableV1 = WakerVTableV1 {
    clone: clone_std,
    wake: wake_std_by_ref,
    wake_by_ref: wake_std_by_ref,
    drop: drop_nothing,
};
static OWNED: WakerVTableV1 = WakerVTableV1 {
    clone: clone_std,
    wake: wake_std,
    wake_by_ref: wake_std_by_ref,
    drop: drop_std,
};

unsafe extern "C" fn clone_std(data: *const ()) -> WakerV1 {
    // SAFETY: `data` points to a live `Waker`, borrowed or boxed, in either vtable.
    let waker = unsafe { &*data.cast::<Waker>() }.clone();
    WakerV1 {
        data: Box::into_raw(Box::new(waker)).cast_const().cast(),
        vtable: &OWNED,
    }
}
unsafe extern "C" fn wake_std(data: *const ()) {
    // SAFETY: only `OWNED` holds this function, whose `data` is the box made in `clone_std`.
    unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) }.wake();
}
unsafe extern "C" fn wake_std_by_ref(data: *const ()) {
    // SAFETY: `data` points to a live `Waker`.
    unsafe { &*data.cast::<Waker>() }.wake_by_ref();
}
unsafe extern "C" fn drop_std(data: *const ()) {
    // SAFETY: only `OWNED` holds this function, whose `data` is the box made in `clone_std`.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Waker>()) });
}
unsafe extern "C" fn drop_nothing(_: *const ()) {}

/// Lends a `Waker` for the length of one poll.
pub(crate) fn lend(waker: &Waker) -> ManuallyDrop<WakerV1> {
    ManuallyDrop::new(WakerV1 {
        data: std::ptr::from_ref(waker).cast(),
        vtable: &BORROWED,
    })
}

// The borrowing side: a std `Waker` over a `WakerV1`.

static OVER_BORROWED: RawWakerVTable = RawWakerVTable::new(
    clone_v1,
    // A borrowed waker is never woken by value: `adopt` keeps it in `ManuallyDrop`.
    wake_v1_by_ref,
    wake_v1_by_ref,
    drop_borrowed_v1,
);
static OVER_OWNED: RawWakerVTable = RawWakerVTable::new(clone_v1, wake_v1, wake_v1_by_ref, drop_v1);

unsafe fn clone_v1(data: *const ()) -> RawWaker {
    // SAFETY: `data` points to a live `WakerV1`, borrowed or boxed, in either table.
    let waker = unsafe { &*data.cast::<WakerV1>() };
    // SAFETY: the lender keeps `waker.data` valid as long as the `WakerV1` lives.
    let cloned = unsafe { (waker.vtable.clone)(waker.data) };
    RawWaker::new(
        Box::into_raw(Box::new(cloned)).cast_const().cast(),
        &OVER_OWNED,
    )
}
unsafe fn wake_v1(data: *const ()) {
    // SAFETY: only `OVER_OWNED` holds this function, whose `data` is the box made in `clone_v1`.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<WakerV1>()) };
    // SAFETY: `wake` takes over `data`; the box's own memory is all that is freed here.
    unsafe { (waker.vtable.wake)(waker.data) };
}
unsafe fn wake_v1_by_ref(data: *const ()) {
    // SAFETY: `data` points to a live `WakerV1`.
    let waker = unsafe { &*data.cast::<WakerV1>() };
    // SAFETY: as above, and `wake_by_ref` takes nothing over.
    unsafe { (waker.vtable.wake_by_ref)(waker.data) };
}
unsafe fn drop_v1(data: *const ()) {
    // SAFETY: only `OVER_OWNED` holds this function, whose `data` is the box made in `clone_v1`.
    let waker = unsafe { Box::from_raw(data.cast_mut().cast::<WakerV1>()) };
    // SAFETY: this is the one place where this clone's `data` is released.
    unsafe { (waker.vtable.drop)(waker.data) };
}
unsafe fn drop_borrowed_v1(_: *const ()) {}

/// Wraps a lent waker for the length of one poll.
pub(crate) fn adopt(lent: &WakerV1) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of `OVER_BORROWED` only read through the pointer, which is valid while
    // `lent` is borrowed; the result is not dropped, and clones of it own their own memory.
    ManuallyDrop::new(unsafe { Waker::new(std::ptr::from_ref(lent).cast(), &OVER_BORROWED) })
}
