//! Behaviour of Nexus over its real edges: one binary, one module per behaviour.
// A test's helper may unwrap as the test itself does: its panic is the failure.
#![allow(clippy::unwrap_used)]
// A test binary has no outside that could reach anything.
#![allow(unreachable_pub)]

mod alerts;
mod alerts_simulated;
mod approvals;
mod attackers;
mod bad_plugins;
mod cloudevents;
mod compatibility;
mod contracts;
mod crashes;
mod damaged_log;
mod dashboard;
mod dead_letters;
mod desktop_toast;
mod dispatch;
mod doors;
mod drain;
mod dropbox_sdk;
mod graph_sdk;
mod http1_conformance;
mod http2_conformance;
mod kill;
mod langgraph;
mod liars;
mod logs;
mod metrics;
mod overload;
mod plugin_calls;
mod plugin_new;
mod plugin_test;
mod poison;
mod power_loss;
mod queue_conformance;
mod queue_model;
mod recovery;
mod reload;
mod replacement;
mod routes;
mod shutdown;
mod signed;
mod storage_faults;
mod story;
mod suites;
mod supply;
mod toast_story;
mod traces;
mod webhooks;
mod websocket_conformance;
mod websockets;
mod workers;
