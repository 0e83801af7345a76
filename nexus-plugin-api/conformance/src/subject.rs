//! The plugin under test while it runs: receives a stimulus, hands on what the plugin says to it, or in what way
//! that breaks what every plugin promises.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::admission::{Admission, Contracts};
use nexus_host::config::Config;
use nexus_host::dispatch::port::{Admit, Call};
use nexus_host::plugins::{Candidate, Refusal, Trial};
use nexus_host::worker::Lives;
use nexus_plugin_api::abi::{ComponentEntry, ComponentKind, Manifest, codes};
use nexus_plugin_api::{Event, Health, NewEvent, PluginError};
use tokio::time::timeout;

use crate::hub::Hub;
use crate::report::Check;
use crate::stimulus::{Said, Stimulus, What};

/// How long a worker may take to let go of what was given up, and to be found out if it does not. The hub gives
/// it half a second and looks four times a second.
const LETTING_GO: Duration = Duration::from_millis(1_000);

/// How long a plugin may take to be there again after it has broken.
const RECOVERY: Duration = Duration::from_secs(10);

/// A plugin that runs.
pub(crate) struct Subject {
    trial: Trial,
    admission: Arc<Admission>,
    pub(crate) hub: Arc<Hub>,
    /// How long a call may take.
    pub(crate) limit: Duration,
}

/// What becomes of a stimulus.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It is answered.
    Said(T),
    /// It is refused, in so many words.
    Refused(PluginError),
    /// Neither: how it went instead.
    Broken(String),
}

impl Subject {
    /// Starts a file, and sees to its contracts.
    pub(crate) async fn start(
        candidate: &Arc<Candidate>,
        config: &Config,
        contracts: Arc<Contracts>,
        limit: Duration,
    ) -> Result<Self, Refusal> {
        let admission = Admission::new(&config.limits, &[], &[], contracts.clone());
        let admission = Arc::new(admission);
        let hub = Hub::new(&admission);
        let trial = Trial::start(candidate, config, &contracts, hub.clone()).await?;
        Ok(Self {
            trial,
            admission,
            hub,
            limit,
        })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.trial.manifest()
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The components of a kind: their places, and how they are called in a report.
    pub(crate) fn of_kind(&self, kind: ComponentKind) -> Vec<(u32, String, ComponentEntry)> {
        let all = (0..).zip(&self.manifest().components);
        let some = all.filter(|(_, component)| component.kind == kind);
        some.map(|(number, one)| (number, part(one), one.clone()))
            .collect()
    }

    pub(crate) fn lives(&self) -> Option<Arc<Lives>> {
        self.trial.lives().cloned()
    }

    /// Shows something to a component and waits for what it says.
    pub(crate) async fn give(&self, stimulus: &Stimulus) -> Answer<Said> {
        self.judged(self.shown(stimulus)).await
    }

    /// As [`Subject::give`], without a limit and a judgement: to be given up.
    pub(crate) async fn shown(&self, stimulus: &Stimulus) -> Result<Said, PluginError> {
        let call = |event, idempotency_key| Call {
            event,
            attempt: 1,
            timeout: self.limit,
            idempotency_key,
            traceparent: None,
            is_suspected: false,
        };
        let component = stimulus.component;
        match &stimulus.what {
            What::Event(event) => {
                let outcome = self.trial.process(component, call(event, ""), event);
                outcome.await.map(Said::Outcome)
            }
            What::Request { event, key, text } => {
                let reply = self.trial.deliver(component, call(event, key), text);
                reply.await.map(Said::Reply)
            }
            What::Hook(request) => {
                let reply = self.trial.hook(component, request.clone(), self.limit);
                reply.await.map(Said::Hook)
            }
        }
    }

    /// Asks a component how it is.
    pub(crate) async fn health(&self, component: u32, limit: Duration) -> Answer<Health> {
        self.judged_within(limit, self.trial.health(component))
            .await
    }

    /// Runs a source's background task until it ends.
    pub(crate) async fn run(&self, component: u32) -> Result<(), PluginError> {
        self.trial.run(component).await
    }

    async fn judged<T>(&self, work: impl Future<Output = Result<T, PluginError>>) -> Answer<T> {
        self.judged_within(self.limit, work).await
    }

    async fn judged_within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, PluginError>>,
    ) -> Answer<T> {
        let deaths = self.deaths();
        let answer = match timeout(limit, work).await {
            Ok(answer) => judge(answer),
            Err(_) => {
                let told = format!("it has not answered within {limit:?}");
                Answer::Broken(match self.death_after(deaths).await {
                    Some(death) => format!("{told}, and did not let go of the call: {death}"),
                    None => told,
                })
            }
        };
        if let Answer::Broken(_) = answer {
            self.recover().await;
        }
        answer
    }

    /// How many workers have died.
    pub(crate) fn deaths(&self) -> u64 {
        self.trial.lives().map_or(0, |lives| lives.deaths())
    }

    /// Gives the worker time to let go of what was given up. How it has died, if it did not; another is there then.
    pub(crate) async fn death_after(&self, deaths: u64) -> Option<String> {
        let lives = self.trial.lives()?;
        let died = timeout(LETTING_GO, lives.more_deaths_than(deaths)).await;
        died.ok()?;
        self.recover().await;
        lives.last_death().map(|death| death.to_string())
    }

    /// Waits until it answers again.
    async fn recover(&self) {
        // What does not recover, the next call tells.
        let _ = timeout(RECOVERY, self.trial.health(0)).await;
    }

    /// What is wrong with an event that follows from another, as the hub would tell. The contracts of others are
    /// not known here.
    pub(crate) fn fault(&self, event: &NewEvent, cause: &Event) -> Option<String> {
        let owned = |of: &str| self.admission.contracts().versions(of).is_some();
        let admitted = || {
            let plugin = &self.manifest().id;
            self.admission
                .admit_emitted(event.clone(), plugin, cause, 0)
        };
        owned(&event.event_type)
            .then(admitted)
            .and_then(Result::err)
            .map(|error| error.message)
    }
}

/// How a component is called in a report.
pub(crate) fn part(component: &ComponentEntry) -> String {
    format!("{} {}", component.kind, component.name)
}

/// An error that the plugin's own code gave is an answer; one that came about for want of it is none.
pub(crate) fn judge<T>(answer: Result<T, PluginError>) -> Answer<T> {
    const BROKEN: [&str; 9] = [
        codes::PANICKED,
        codes::POISONED,
        codes::NO_COMPONENT,
        codes::UNSUPPORTED,
        "killed_the_worker",
        "malformed_answer",
        "no_worker",
        "not_rebuilt",
        "worker_died",
    ];
    match answer {
        Ok(said) => Answer::Said(said),
        Err(error) if error.code == codes::PANICKED => {
            Answer::Broken(format!("it panicked: {}", error.message))
        }
        Err(error) if BROKEN.contains(&&*error.code) => Answer::Broken(error.to_string()),
        Err(error) => Answer::Refused(error),
    }
}

impl Check {
    /// Shows one thing more to a component; `None` when it broke, which is a failure.
    pub(crate) async fn case(
        &mut self,
        subject: &Subject,
        stimulus: &Stimulus,
    ) -> Option<Result<Said, PluginError>> {
        self.cases += 1;
        match subject.give(stimulus).await {
            Answer::Said(said) => Some(Ok(said)),
            Answer::Refused(error) => Some(Err(error)),
            Answer::Broken(told) => {
                self.fail(told, stimulus.shown());
                None
            }
        }
    }
}
