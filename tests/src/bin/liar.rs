//! A plugin's worker that lies to its hub, for tests: it begins as a worker of the fixture `crasher` does, and then
//! does what the first line of the file `LIES` says, which it takes out. Where there is none it becomes the honest
//! worker beside it.
//!
//! It writes its frames by hand, as the hub's record of them says they look.

#![cfg_attr(not(unix), allow(unused))]

fn main() {
    #[cfg(unix)]
    liar::main();
}

#[cfg(unix)]
mod liar {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use nexus_plugin_api::abi::AnswerV1;
    use parking_lot::Mutex;
    use serde::Serialize;

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    pub(super) fn main() {
        let told = match next_lie() {
            Some(lie) => tell(&lie),
            None => Err(become_honest().into()),
        };
        if let Err(error) = told {
            eprintln!("liar: {error}");
        }
    }

    /// Takes a lie off the list.
    fn next_lie() -> Option<String> {
        let list = std::env::var("LIES").ok()?;
        let lies = std::fs::read_to_string(&list).ok()?;
        let (lie, rest) = lies.split_once('\n')?;
        std::fs::write(list, rest).ok()?;
        Some(lie.to_owned())
    }

    fn become_honest() -> std::io::Error {
        let honest = std::env::current_exe()
            .map(|own| own.with_file_name("nexus-plugin-worker"))
            .map(|honest| {
                Command::new(honest)
                    .args(std::env::args_os().skip(1))
                    .exec()
            });
        honest.unwrap_or_else(|error| error)
    }

    /// Frames by their numbers: what the hub says,
    mod hub {
        pub(super) const START: u32 = 1;
        pub(super) const PROCESS: u32 = 2;
        pub(super) const OPERATE: u32 = 3;
        pub(super) const PING: u32 = 6;
    }

    /// and what a worker says.
    mod worker {
        pub(super) const LOADED: u32 = 0;
        pub(super) const STARTED: u32 = 2;
        pub(super) const REPLY: u32 = 3;
        pub(super) const ASK: u32 = 4;
        pub(super) const LOG: u32 = 5;
        pub(super) const PONG: u32 = 6;
    }

    /// As long as a frame may be.
    const LONGEST: usize = 64 * 1024 * 1024;

    /// For longer than anybody waits.
    fn sleep() -> Result<()> {
        thread::sleep(Duration::from_secs(600));
        Ok(())
    }

    /// The connection to the hub.
    struct Wire {
        from: UnixStream,
        /// Held for a whole frame.
        to: Arc<Mutex<UnixStream>>,
    }

    impl Wire {
        fn of_this_process() -> Result<Self> {
            let from = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            let to = Arc::new(Mutex::new(from.try_clone()?));
            Ok(Self { from, to })
        }

        fn read(&mut self) -> Result<Vec<u8>> {
            let mut head = [0; 4];
            self.from.read_exact(&mut head)?;
            let mut frame = vec![0; u32::from_le_bytes(head) as usize];
            self.from.read_exact(&mut frame)?;
            Ok(frame)
        }

        fn say(&self, frame: &impl Serialize) -> Result<()> {
            self.octets(&postcard::to_stdvec(frame)?)
        }

        /// A frame of any octets.
        fn octets(&self, frame: &[u8]) -> Result<()> {
            self.claim(frame.len(), frame)
        }

        /// The length of a frame, and as much of it as there is.
        fn claim(&self, length: usize, there: &[u8]) -> Result<()> {
            let length = u32::try_from(length)?.to_le_bytes();
            let octets = [&length[..], there].concat();
            Ok(self.to.lock().write_all(&octets)?)
        }

        fn reply(&self, id: u64, head: &[u8]) -> Result<()> {
            let body: &[u8] = b"";
            self.say(&(worker::REPLY, id, 0_u32, head, body))
        }

        fn started(&self) -> Result<()> {
            self.say(&(worker::STARTED, 0_u32))
        }

        /// Says the same again and again, beside whatever else is done.
        fn for_ever(&self, frame: &impl Serialize) -> Result<()> {
            let frame = postcard::to_stdvec(frame)?;
            let wire = Self {
                from: self.from.try_clone()?,
                to: self.to.clone(),
            };
            thread::spawn(move || while wire.octets(&frame).is_ok() {});
            Ok(())
        }
    }

    /// Begins, and lies where the lie belongs.
    fn tell(lie: &str) -> Result<()> {
        let mut wire = Wire::of_this_process()?;
        begin(&mut wire, lie)?;
        loop {
            let frame = wire.read()?;
            let (number, rest) = postcard::take_from_bytes::<u32>(&frame)?;
            match number {
                hub::START if lie == "is_never_ready" => {}
                hub::START => wire.started()?,
                hub::PING => {
                    let (ping, _) = postcard::take_from_bytes::<u64>(rest)?;
                    wire.say(&(worker::PONG, ping))?;
                }
                hub::PROCESS => {
                    let (id, _) = postcard::take_from_bytes(rest)?;
                    on_call(&wire, lie, id)?;
                }
                hub::OPERATE => {
                    let (id, _) = postcard::take_from_bytes(rest)?;
                    // Whoever asks how it is hears what an honest one would say.
                    wire.reply(id, br#"{"status":"ready"}"#)?;
                }
                _ => {}
            }
        }
    }

    /// The first frames, and the lies about them.
    fn begin(wire: &mut Wire, lie: &str) -> Result<()> {
        let first = wire.read()?;
        let load = postcard::take_from_bytes::<(u32, u16, [u8; 16], &str, [u8; 32])>(&first)?;
        let ((_, mut version, mut nonce, path, mut sha256), _) = load;
        assert!(Path::new(path).exists(), "{path}");
        let mut description = description()?;
        match lie {
            "says_nothing_at_first" => return sleep(),
            "ends_at_first" => std::process::exit(0),
            "begins_with_garbage" => return wire.octets(&[0xff; 100]),
            "begins_with_a_long_frame" => {
                wire.claim(LONGEST + 1, b"")?;
                return sleep();
            }
            "begins_with_an_answer" => return wire.reply(1, b""),
            "wrong_version" => version += 1,
            "wrong_nonce" => nonce[0] ^= 1,
            "wrong_hash" => sha256[0] ^= 1,
            "wrong_description" => description = b"{\"contracts\":".to_vec(),
            _ => {}
        }
        let missing: &[&str] = &[];
        wire.say(&(
            worker::LOADED,
            version,
            nonce,
            sha256,
            description.as_slice(),
            missing,
        ))
    }

    /// What the library would say of itself.
    fn description() -> Result<Vec<u8>> {
        let (_, root) = crasher::plugin().into_parts();
        let described = root.describe()().into_result();
        let AnswerV1 { head, .. } = described.map_err(|error| error.message.into_string())?;
        Ok(head.into_vec())
    }

    /// The lies about a call. Whoever comes back goes on as a worker does.
    fn on_call(wire: &Wire, lie: &str, id: u64) -> Result<()> {
        match lie {
            "long_frame" => {
                wire.claim(LONGEST + 1, b"")?;
                sleep()
            }
            "length_without_octets" => {
                wire.claim(LONGEST, b"")?;
                sleep()
            }
            "half_a_frame_and_the_end" => {
                wire.claim(LONGEST, &[0; 100])?;
                wire.from.shutdown(Shutdown::Both)?;
                sleep()
            }
            "garbage" => wire.octets(&[0xff; 100]),
            "octets_too_many" => {
                let mut frame = postcard::to_stdvec(&(worker::REPLY, id, 0_u32, 0_u8, 0_u8))?;
                frame.push(0);
                wire.octets(&frame)
            }
            "answer_to_nothing" => wire.reply(id + 1_000, b""),
            "answers_twice" => {
                wire.reply(id, b"")?;
                wire.reply(id, b"")
            }
            "is_ready_again" => wire.started(),
            "pong_before_ping" => {
                wire.say(&(worker::PONG, u64::MAX))?;
                sleep()
            }
            "closes_and_lives_on" => {
                wire.from.shutdown(Shutdown::Both)?;
                sleep()
            }
            "hears_nothing" => sleep(),
            "log_without_end" => {
                let line: (u32, u8, &str, &str, &[u8], [u8; 16]) =
                    (worker::LOG, 3, "liar", "again and again", b"", [0; 16]);
                wire.for_ever(&line)
            }
            "questions_without_end" => {
                let (op, head, body): (u32, &[u8], &[u8]) = (1, b"{}", b"{}");
                wire.for_ever(&(worker::ASK, 1_u64, op, head, body))
            }
            "questions_without_end_unheard" => {
                let (op, head, body): (u32, &[u8], &[u8]) = (1, b"{}", b"{}");
                wire.for_ever(&(worker::ASK, 1_u64, op, head, body))?;
                sleep()
            }
            "answer_of_garbage" => wire.reply(id, &[b'['; 8 << 20]),
            // Nothing comes of it.
            _ => Ok(()),
        }
    }
}
