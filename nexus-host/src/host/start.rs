//! The start of a host: receives what was prepared, hands on a host whose rooms are wired, in the order in which events
//! pass.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use nexus_plugin_api::Event;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::counted::Counted;
use super::crew::Crew;
use super::glance::Glance;
use super::ports::{Hub, News, Own, Webhooks};
use super::pulse::Pulse;
use super::registry::Registry;
use super::reload::{self, Reloader};
use super::serving::Serving;
use super::vitals::Vitals;
use super::{Host, secret};
use crate::admission::Admission;
use crate::alerts::{Alerts, Disk};
use crate::approvals::Approvals;
use crate::builder::PreparedHost;
use crate::current::Current;
use crate::dispatch::config::Ordering;
use crate::dispatch::{Breakers, Dispatcher};
use crate::ingress::{self, Ports, Server, ServerError};
use crate::intake::{Completions, Intake};
use crate::observe::{Metrics, Overviews, Stages, Tap, Tracer, Trail};
use crate::plugins::{self, Supervisor};
use crate::queue::config::Backend;
use crate::queue::{MemoryQueue, OpenError, Queue, SqliteQueue, Unavailable, Work};
use crate::routes::{Routes, Table};

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The addresses to listen on, or the certificate.
    #[error("failed to {0}")]
    Server(#[from] ServerError),
    /// The plugins.
    #[error(transparent)]
    Plugins(#[from] plugins::StartError),
    /// The folder of contract files.
    #[error("the contracts folder {} cannot be read: {source}; check [plugins] contracts_dir", path.display())]
    Contracts {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The way to the collector of traces.
    #[error("[observe.traces]: {0}")]
    Traces(String),
    /// A rule of the configuration.
    #[error("[[rules]]: {0}")]
    Rule(String),
    /// A route of the configuration.
    #[error("[[routes]]: {0}")]
    Route(String),
    /// A webhook and a plugin's source of the same name.
    #[error(
        "failed to serve the webhook `{0}`: a plugin has a source of that name; call one of them otherwise"
    )]
    Webhook(String),
    /// The durable queue.
    #[error(transparent)]
    Queue(#[from] OpenError),
    /// The questions to people, or the alerts, that the queue keeps.
    #[error("the approvals and alerts cannot be read: {0}")]
    Approvals(#[from] Unavailable),
}

impl Host {
    pub(crate) async fn start(prepared: PreparedHost) -> Result<Self, StartError> {
        let PreparedHost {
            config,
            source,
            plugins_dir,
            plugins,
            serves,
            queue,
        } = prepared;
        let config = Arc::new(config);
        // First what fails most often and costs least; connections wait until it serves.
        let server = match serves {
            true => Some(Server::bind(&config.server).await?),
            false => None,
        };
        let routes =
            Table::of(&config.routes, &config.alerts.routes()).map_err(StartError::Route)?;
        let routes = Arc::new(Routes::new(routes));
        // Contracts come with the plugins, so the plugins come first.
        let registry = Arc::new(Registry::new(&config)?);
        let supervisor = Supervisor::start(config.clone(), registry.clone(), plugins).await?;
        let catalog = supervisor.catalog().clone();
        reload::expect_apart(&config, |name| catalog.has_source(name))?;
        for warning in config
            .webhooks
            .iter()
            .flat_map(|webhook| webhook.warnings())
        {
            tracing::warn!("{warning}");
        }
        for remark in registry.contracts().remarks(Utc::now()) {
            tracing::warn!("{remark}");
        }

        // The way of an event: admission, queue, dispatch; news of it go to the live view and to
        // whoever waits for the outcome.
        let admission = Arc::new(Admission::new(
            &config.limits,
            &config.clients,
            &config.issuers,
            registry.contracts().clone(),
        ));
        let lanes = config.dispatch.ordering == Ordering::Lane;
        let queue: Arc<dyn Queue> = match (queue, config.queue.backend) {
            (Some(queue), _) => queue,
            (None, Backend::Memory) => Arc::new(MemoryQueue::new(&config.queue, lanes)),
            (None, Backend::Sqlite) => {
                let whose = |event: &Event, work: &Work| catalog.whose(event, work);
                Arc::new(SqliteQueue::open_knowing(&config.queue, lanes, &whose)?)
            }
        };
        let tracer = Tracer::new(&config.observe.traces).map_err(StartError::Traces)?;
        let trail = Arc::new(Trail::new(&config.observe.log_fields));
        let tap = Tap::new();
        let completions = Arc::new(Completions::default());
        let stages = Stages::new();
        let news = Arc::new(News {
            tap: tap.clone(),
            stages: stages.clone(),
            completions: completions.clone(),
        });
        let intake = Arc::new(Intake::new(
            admission,
            queue.clone(),
            news.clone(),
            completions.clone(),
            trail.clone(),
            tracer.clone(),
        ));
        let approvals = Approvals::open(
            config.approvals.clone(),
            config.queue.dedup_window.get(),
            queue.clone(),
            Arc::new(Own(intake.clone())),
        );
        let approvals = Arc::new(approvals.await?);
        let breakers = Arc::new(Breakers::new(config.breaker.clone(), &config.retry));
        let dispatcher = Arc::new(Dispatcher::new(
            config.dispatch.clone(),
            config.retry.clone(),
            breakers.clone(),
            queue.clone(),
            Arc::new(Crew {
                catalog: catalog.clone(),
                routes: routes.clone(),
            }),
            intake.clone(),
            news,
            approvals.clone(),
            trail.clone(),
            tracer.clone(),
        ));
        let measures = dispatcher.measures().clone();
        let workers = tokio::spawn(dispatcher.clone().run());
        let pulse = Pulse {
            intake: intake.clone(),
            dispatcher: dispatcher.clone(),
            breakers: breakers.clone(),
            catalog: catalog.clone(),
        };
        let alerts = Alerts::open(
            &config.alerts,
            Disk::of(&config.queue),
            Arc::new(pulse),
            queue.clone(),
            Arc::new(Own(intake.clone())),
        );
        let alerts = Arc::new(alerts.await?);
        let webhooks = Arc::new(ingress::webhooks::Webhooks::new(&config.webhooks));
        let current = Arc::new(Current::new(config.clone()));
        let reloader = Arc::new(Reloader {
            source,
            plugins_dir,
            config: current.clone(),
            supervisor: supervisor.clone(),
            registry: registry.clone(),
            intake: intake.clone(),
            webhooks: webhooks.clone(),
            routes,
            alerts: alerts.clone(),
            trail,
            alone: Mutex::default(),
        });
        let vitals = Arc::new(Vitals::new(
            current.clone(),
            catalog.clone(),
            breakers.clone(),
            queue.clone(),
            registry.clone(),
            reloader.clone(),
            approvals.clone(),
        ));
        // Last, when everything that they may call is there: the sources and the server.
        supervisor.connect(Arc::new(Hub(intake.clone()))).await;
        let mut background = JoinSet::new();
        background.spawn(supervisor.clone().attend());
        background.spawn(approvals.clone().keep());
        background.spawn(alerts.clone().keep());
        let secret = secret::of(&queue, &mut background).await;
        let server = server.map(|server| {
            let counted = Counted {
                intake: intake.clone(),
                queue: queue.clone(),
                measures,
                breakers: breakers.clone(),
                catalog: catalog.clone(),
                alerts: alerts.clone(),
                approvals: approvals.clone(),
                vitals: vitals.clone(),
                tap: tap.clone(),
                doors: server.doors(),
                tracer: tracer.clone(),
            };
            let counted = Arc::new(counted);
            let glance = Glance {
                counted: counted.clone(),
                started: Instant::now(),
            };
            let ports = Ports {
                intake: intake.clone(),
                hooks: Arc::new(Webhooks {
                    catalog: catalog.clone(),
                    limit: config.dispatch.processor_timeout.get(),
                }),
                webhooks,
                readiness: vitals.clone(),
                admin: vitals.clone(),
                alerts: alerts.clone(),
                live: tap.clone(),
                stages,
                secret,
                metrics: Arc::new(Metrics::new(counted)),
                overviews: Overviews::new(Arc::new(glance)),
                tracer: tracer.clone(),
            };
            Serving::start(server, ports)
        });
        Ok(Self {
            config: current,
            supervisor,
            registry,
            reloader,
            approvals,
            alerts,
            intake,
            queue,
            breakers,
            tap,
            completions,
            vitals,
            tracer,
            server,
            workers,
            background,
        })
    }
}
