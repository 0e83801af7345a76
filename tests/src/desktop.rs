//! A real desktop for tests: X server, session bus, window manager and notification service.
//!
//! Receives nothing but the programs installed; hands on the environment for a child process, the
//! toasts on the screen, and a mouse to press their buttons with. Everything runs in processes of
//! this test's own, on a display and a bus that nothing else uses, and ends with [`Desktop`]. It
//! never touches the desktop of the person who runs the tests.
//!
//! The service is GNOME's notification-daemon, because it draws buttons. Two of its habits show in
//! tests: it draws one toast at a time, the next once that is answered or closed; and a toast taken
//! away by its program is told to be closed at once, but stays drawn until [`Desktop::close_toast`]
//! clicks it away.

mod process;
mod screen;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use self::process::{Process, run};
pub use self::screen::Area;
use self::screen::Picture;

/// The Debian packages a desktop for tests needs.
pub const DEBIAN_PACKAGES: &[&str] = &[
    "xvfb",
    "dbus",
    "openbox",
    "notification-daemon",
    "xdotool",
    "scrot",
];

/// How long each part may take to come up, and a button to appear.
const WITHIN: Duration = Duration::from_secs(15);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Where the notification service is: not on `PATH`, as the bus starts it elsewhere.
const NOTIFICATION_DAEMONS: &[&str] = &[
    "/usr/lib/notification-daemon/notification-daemon",
    "/usr/libexec/notification-daemon",
    "/usr/lib/notification-daemon-1.0/notification-daemon",
];

/// What keeps a desktop from coming up.
#[derive(Debug, thiserror::Error)]
#[error(
    "no desktop for tests: {}; on Debian: apt-get install {}",
    what.join(", "),
    DEBIAN_PACKAGES.join(" ")
)]
pub struct Missing {
    /// The programs that are not installed; or the one part that did not come up, and why.
    pub what: Vec<String>,
}

/// Something on the desktop went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// A program failed.
    #[error("{program} failed: {problem}")]
    Program {
        /// Its name.
        program: String,
        /// What it or the system said.
        problem: String,
    },
    /// The screen could not be read.
    #[error("the screenshot cannot be read: {0}")]
    Picture(String),
    /// No toast with these buttons came up in time.
    #[error("no toast with the buttons {labels:?} on the screen; toasts there: {seen:?}")]
    NoButton {
        /// The labels looked for.
        labels: Vec<String>,
        /// The toasts seen last.
        seen: Vec<Area>,
    },
}

/// A desktop that is up. Its parts end when it is dropped.
#[derive(Debug)]
pub struct Desktop {
    // In the order in which they end: the X server last.
    notifications: Process,
    window_manager: Process,
    bus: Process,
    x_server: Process,
    env: Vec<(&'static str, String)>,
    /// Holds the bus's socket, the logs and the screenshots.
    dir: tempfile::TempDir,
}

impl Desktop {
    /// Brings the desktop up and waits until its notification service answers.
    ///
    /// # Errors
    ///
    /// Programs are not installed (all of them are named), or a part does not come up.
    pub fn start() -> Result<Self, Missing> {
        let daemon = find_programs()?;
        let dir = tempfile::tempdir().map_err(|e| missing("a temporary folder", &e.to_string()))?;

        let mut x_server = Command::new("Xvfb");
        x_server.args(["-displayfd", "1", "-screen", "0", "1280x720x24"]);
        x_server.args(["-nolisten", "tcp", "-noreset"]);
        x_server.stdout(Stdio::piped());
        let (x_server, display) =
            Process::start("Xvfb", x_server, dir.path())?.first_line(WITHIN)?;

        let address = format!("unix:path={}", dir.path().join("bus").display());
        let env = vec![
            ("DISPLAY", format!(":{}", display.trim())),
            ("DBUS_SESSION_BUS_ADDRESS", address.clone()),
            ("HOME", dir.path().display().to_string()),
            ("XDG_RUNTIME_DIR", dir.path().display().to_string()),
            // No accessibility bus and no settings service: they would outlive this desktop.
            ("NO_AT_BRIDGE", "1".to_owned()),
            ("GTK_A11Y", "none".to_owned()),
            ("GSETTINGS_BACKEND", "memory".to_owned()),
        ];

        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        bus.arg(format!("--address={address}"));
        bus.envs(env.iter().cloned()).stdout(Stdio::piped());
        let (bus, _) = Process::start("dbus-daemon", bus, dir.path())?.first_line(WITHIN)?;

        let mut window_manager = Command::new("openbox");
        window_manager.arg("--sm-disable");
        window_manager
            .envs(env.iter().cloned())
            .stdout(Stdio::null());
        let window_manager = Process::start("openbox", window_manager, dir.path())?;
        let mut notifications = Command::new(daemon);
        notifications
            .envs(env.iter().cloned())
            .stdout(Stdio::null());
        let notifications = Process::start("notification-daemon", notifications, dir.path())?;

        let mut desktop = Self {
            notifications,
            window_manager,
            bus,
            x_server,
            env,
            dir,
        };
        desktop.wait_until_up()?;
        Ok(desktop)
    }

    /// The variables a program needs to be on this desktop, for [`Command::envs`].
    pub fn env(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.env.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Writes what is on the screen to a PNG file.
    ///
    /// # Errors
    ///
    /// The screen cannot be read or the file not written.
    pub fn screenshot(&self, path: &Path) -> Result<(), Trouble> {
        let mut scrot = self.command("scrot");
        scrot.arg("--overwrite").arg(path);
        run(scrot).map(drop)
    }

    /// The toasts on the screen, from top to bottom.
    ///
    /// # Errors
    ///
    /// The windows cannot be listed.
    pub fn toasts(&self) -> Result<Vec<Area>, Trouble> {
        let mut search = self.command("xdotool");
        search.args(["search", "--onlyvisible", "--name", "^Notification$"]);
        // It fails where nothing is found, which is an answer here.
        let found = run(search).unwrap_or_default();
        let mut toasts = Vec::new();
        for window in found.split_whitespace() {
            let mut geometry = self.command("xdotool");
            geometry.args(["getwindowgeometry", "--shell", window]);
            // A window that has closed since has no area.
            if let Ok(text) = run(geometry) {
                toasts.extend(Area::from_shell(&text));
            }
        }
        toasts.sort_by_key(|area| (area.y, area.x));
        Ok(toasts)
    }

    /// Waits until there are this many toasts on the screen: a service takes its time to draw them,
    /// and to take them away. Returns how many there are at last.
    ///
    /// # Errors
    ///
    /// The windows cannot be listed.
    pub fn wait_for_toasts(&self, count: usize) -> Result<usize, Trouble> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let there = self.toasts()?.len();
            if there == count || Instant::now() >= deadline {
                return Ok(there);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Presses the button `label` of the toast whose buttons are `labels`, from left to right, as
    /// soon as that toast is on the screen. The event that comes back tells whether it was the one.
    ///
    /// # Errors
    ///
    /// No such toast comes up within 15 seconds, or `label` is not one of `labels`.
    pub fn press_button(&self, labels: &[&str], label: &str) -> Result<(), Trouble> {
        let Some(place) = labels.iter().position(|l| *l == label) else {
            return Err(no_button(labels, Vec::new()));
        };
        let (_, buttons) = self.at_rest(labels)?;
        let (x, y) = buttons[place].middle();
        self.click(x, y)
    }

    /// Writes a PNG file of the toast whose buttons are `labels`, from left to right, as soon as it is on
    /// the screen.
    ///
    /// # Errors
    ///
    /// No such toast comes up within 15 seconds, or the file is not written.
    pub fn photograph(&self, labels: &[&str], path: &Path) -> Result<(), Trouble> {
        let (
            Area {
                x,
                y,
                width,
                height,
            },
            _,
        ) = self.at_rest(labels)?;
        let mut scrot = self.command("scrot");
        scrot.args(["--autoselect", &format!("{x},{y},{width},{height}")]);
        scrot.arg("--overwrite").arg(path);
        run(scrot).map(drop)
    }

    /// The toast with so many buttons, and where they are.
    fn at_rest(&self, labels: &[&str]) -> Result<(Area, Vec<Area>), Trouble> {
        let deadline = Instant::now() + WITHIN;
        let mut before = None;
        loop {
            let toasts = self.toasts()?;
            let picture = self.picture()?;
            let found = toasts
                .iter()
                .map(|toast| (*toast, picture.buttons(toast)))
                .find(|(_, buttons)| buttons.len() == labels.len());
            // Seen twice at the same place: it has come to rest.
            match found {
                Some(found) if before.as_ref() == Some(&found) => return Ok(found),
                _ if Instant::now() >= deadline => return Err(no_button(labels, toasts)),
                found => before = found,
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Closes the topmost toast by its cross, as a person does.
    ///
    /// # Errors
    ///
    /// There is no toast on the screen.
    pub fn close_toast(&self) -> Result<(), Trouble> {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(toast) = self.toasts()?.first() {
                return self.click(toast.x + toast.width - 24, toast.y + 29);
            }
            if Instant::now() >= deadline {
                return Err(Trouble::NoButton {
                    labels: Vec::new(),
                    seen: Vec::new(),
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Clicks with the left button, at pixels from the top left.
    ///
    /// # Errors
    ///
    /// The pointer cannot be moved.
    pub fn click(&self, x: i32, y: i32) -> Result<(), Trouble> {
        let mut xdotool = self.command("xdotool");
        xdotool.args(["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
        run(xdotool).map(drop)
    }

    fn picture(&self) -> Result<Picture, Trouble> {
        let path = self.dir.path().join("screen.png");
        self.screenshot(&path)?;
        Picture::read(&path)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env());
        command
    }

    fn wait_until_up(&mut self) -> Result<(), Missing> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let mut desktops = self.command("xdotool");
            // Answered only once a window manager is there.
            desktops.arg("get_num_desktops");
            let mut owner = self.command("dbus-send");
            owner.args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"]);
            owner.args(["/", "org.freedesktop.DBus.NameHasOwner"]);
            owner.arg("string:org.freedesktop.Notifications");
            let notifies = || run(owner).is_ok_and(|reply| reply.contains("boolean true"));
            if run(desktops).is_ok() && notifies() {
                return Ok(());
            }
            for part in [
                &mut self.x_server,
                &mut self.bus,
                &mut self.window_manager,
                &mut self.notifications,
            ] {
                part.check()?;
            }
            if Instant::now() >= deadline {
                let said = self.notifications.said();
                return Err(missing("a notification service that answers", &said));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Checks that every program is there; returns the notification service's path.
fn find_programs() -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path =
        |program: &&&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let programs = [
        "Xvfb",
        "dbus-daemon",
        "dbus-send",
        "openbox",
        "xdotool",
        "scrot",
    ];
    let mut what: Vec<String> = programs
        .iter()
        .filter(|program| !on_path(program))
        .map(ToString::to_string)
        .collect();
    let daemon = NOTIFICATION_DAEMONS
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file());
    match daemon {
        Some(daemon) if what.is_empty() => Ok(daemon),
        Some(_) => Err(Missing { what }),
        None => {
            what.push("notification-daemon".to_owned());
            Err(Missing { what })
        }
    }
}

fn missing(part: &str, why: &str) -> Missing {
    Missing {
        what: vec![format!("{part} ({})", why.trim())],
    }
}

fn no_button(labels: &[&str], seen: Vec<Area>) -> Trouble {
    Trouble::NoButton {
        labels: labels.iter().map(ToString::to_string).collect(),
        seen,
    }
}
