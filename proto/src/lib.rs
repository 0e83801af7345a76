//! The gRPC contracts, as Rust types.
//!
//! Receives nothing and does nothing at run time: what is here is generated from the `.proto` files
//! beside it, which document every field and limit. The messages are always here; the two ends of
//! a service come with a feature each (`toasty-client`, `hub-server` and so on), so that a client does not
//! compile a server. No transport is chosen here: a client takes a channel of its caller's.
//!
//! ```
//! use nexus_proto::toasty::v1::{Action, ShowRequest};
//!
//! let toast = ShowRequest {
//!     request_id: "order-17".to_owned(),
//!     title: "Approve the refund?".to_owned(),
//!     actions: vec![Action {
//!         id: "approve".to_owned(),
//!         label: "Approve".to_owned(),
//!         ..Action::default()
//!     }],
//!     ..ShowRequest::default()
//! };
//! assert_eq!(toast.actions[0].id, "approve");
//! ```

/// Toasty: desktop notifications as a service.
pub mod toasty {
    /// The contract `toasty.v1`, generated from `toasty/v1/toasty.proto`.
    // Generated: its docs are the comments of the .proto, where not every oneof variant and
    // message with an obvious meaning has one, and where angle brackets and long lines are free.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        rustdoc::all
    )]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/toasty.v1.rs"));

        /// The contract's own description (an encoded `google.protobuf.FileDescriptorSet`, its
        /// imports included), for reflection and for printing messages as JSON.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/toasty.v1.bin"));
    }
}

/// The hub itself.
pub mod nexus {
    /// The contract `nexus.v1`, generated from `nexus/v1/hub.proto`.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        rustdoc::all
    )]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/nexus.v1.rs"));

        /// The contract's own description, for reflection and for printing messages as JSON.
        pub const FILE_DESCRIPTOR_SET: &[u8] =
            include_bytes!(concat!(env!("OUT_DIR"), "/nexus.v1.bin"));
    }
}

/// What is not ours and is spoken all the same.
pub mod io {
    /// CloudEvents.
    pub mod cloudevents {
        /// Their protobuf format, generated from `io/cloudevents/v1/cloudevents.proto`.
        #[allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            rustdoc::all
        )]
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/io.cloudevents.v1.rs"));
        }
    }
}
