//! What comes from the server: answers, remarks in between, failures, and the end.

use dagflux_guest::bindings::dagflux::connector::types::{ErrorKind, Notice};
use dagflux_guest::{ChannelError, Error, Result, log};

use super::{LOG, Session, Transaction};
use crate::protocol::Violation;
use crate::protocol::backend::{self, Message, Report};
use crate::protocol::frame::{self, Split};
use crate::sqlstate::{self, Circumstances};

/// How many of the server's remarks are kept.
const NOTICES: usize = 100;

/// How many bytes are kept of each: a remark can be as long as a message.
const NOTICE: usize = 8 * 1024;

/// How many of the settings that the server reports are kept: it has a dozen.
const SETTINGS: usize = 256;

/// How long a setting may be, in bytes, to be kept.
const SETTING: usize = 1024;

impl Session {
    /// Whether the server has said something that nobody waits for, `place` being where. It is a
    /// failure, but for remarks.
    ///
    /// # Errors
    /// What the server reports.
    pub fn check_interjection(&mut self, place: &str) -> Result<()> {
        loop {
            let mut needed = frame::HEADER;
            loop {
                match self.stream.available(needed) {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(error) => return Err(self.lose(error)),
                }
                match frame::split(self.stream.front()) {
                    Ok(Split::Partial(more)) => needed = more,
                    Ok(Split::Frame(_)) => break,
                    Err(violation) => return Err(self.violated(violation)),
                }
            }
            let message = self.next_message()?;
            match self.take_aside(message)? {
                None => {}
                Some(Message::ErrorResponse(body)) => {
                    let report = backend::report(body.fields()).map_err(|v| self.violated(v))?;
                    return Err(self.fail(&report));
                }
                Some(_) => return Err(self.unexpected(place)),
            }
        }
    }

    /// Passes the bodies of messages with the tag `tag` to `each`, where they lie, until it
    /// returns `false` (that message is kept) or another message is next.
    ///
    /// # Errors
    /// What `each` returns; the session is then in the middle of an answer. Or that the
    /// connection is lost.
    #[inline]
    pub fn each_body(
        &mut self,
        tag: u8,
        mut each: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<Stopped> {
        enum Step {
            Kept,
            Other,
            Need(usize),
        }
        self.flush()?;
        loop {
            let front = self.stream.front();
            let mut rest = front;
            let step = loop {
                match frame::split(rest) {
                    Ok(Split::Frame(frame)) if frame.tag == tag => match each(frame.body) {
                        Ok(true) => rest = rest.get(frame.whole.len()..).unwrap_or_default(),
                        Ok(false) => break Ok(Step::Kept),
                        Err(error) => break Err(error),
                    },
                    Ok(Split::Frame(_)) => break Ok(Step::Other),
                    Ok(Split::Partial(needed)) => break Ok(Step::Need(needed)),
                    Err(violation) => break Err(violation.into()),
                }
            };
            let consumed = front.len().saturating_sub(rest.len());
            self.stream.consume(consumed);
            match step? {
                Step::Kept => return Ok(Stopped::Kept),
                Step::Other => return Ok(Stopped::Other),
                Step::Need(needed) => {
                    if let Err(error) = self.stream.require(needed) {
                        return Err(self.lose(error));
                    }
                }
            }
        }
    }

    pub(super) fn next_message(&mut self) -> Result<Message> {
        let mut needed = frame::HEADER;
        loop {
            if let Err(error) = self.stream.require(needed) {
                return Err(self.lose(error));
            }
            match frame::split(self.stream.front()) {
                Ok(Split::Partial(more)) => needed = more,
                Ok(Split::Frame(frame)) => {
                    let length = frame.whole.len();
                    let message = backend::parse(frame);
                    self.stream.consume(length);
                    return message.map_err(|violation| self.violated(violation));
                }
                Err(violation) => return Err(self.violated(violation)),
            }
        }
    }

    /// Deals with what can come at any time; gives back what is an answer.
    pub(super) fn take_aside(&mut self, message: Message) -> Result<Option<Message>> {
        match message {
            Message::NoticeResponse(body) => {
                let report = backend::report(body.fields()).map_err(|v| self.violated(v))?;
                if self.notices.len() >= NOTICES {
                    self.notices.pop_front();
                }
                self.notices.push_back(Notice {
                    severity: cut(report.severity),
                    sqlstate: cut(report.code),
                    message: cut(report.message),
                });
                Ok(None)
            }
            Message::ParameterStatus(body) => {
                // Names and values are the server's; those that are not text say nothing to us.
                if let (Ok(name), Ok(value)) = (body.name(), body.value())
                    && self.status.len() < SETTINGS
                    && name.len() <= SETTING
                    && value.len() <= SETTING
                {
                    self.status.insert(name.to_owned(), value.to_owned());
                }
                Ok(None)
            }
            Message::NotificationResponse(_) => Ok(None),
            Message::ReadyForQuery(body) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                self.transaction = match body.status() {
                    b'I' => Transaction::Idle,
                    b'T' => Transaction::Open,
                    b'E' => Transaction::Failed,
                    _ => {
                        return Err(self.violated(Violation::new("an unknown transaction state")));
                    }
                };
                Ok(Some(Message::ReadyForQuery(body)))
            }
            message => Ok(Some(message)),
        }
    }

    /// The failure that the server's report is.
    pub(super) fn explain(&self, report: &Report) -> Error {
        let error = sqlstate::error(
            report,
            Circumstances {
                timeout: self.parameters.statement_timeout,
                elapsed: self.sent.map(|sent| sent.elapsed()),
            },
        );
        sqlstate::about_login(error, report, &self.parameters.database, &self.user)
    }

    /// Turns the server's report into a failure and brings the session to rest. In a login,
    /// nothing comes after it.
    pub(super) fn fail(&mut self, report: &Report) -> Error {
        let error = self.explain(report);
        if report.is_fatal() || !self.logged_in {
            self.lost = Some(error.clone());
        } else if let Err(error) = self.settle() {
            log::debug(LOG, &format!("not at rest after a failure: {error}"));
        }
        error
    }

    /// The failure that a broken channel is.
    pub(super) fn lose(&mut self, cause: ChannelError) -> Error {
        // The reason may have arrived before the end.
        if let Some(report) = self.last_words() {
            return self.fail(&report);
        }
        let error = match (cause, self.shutdown_notice()) {
            (_, Some(notice)) => Error::new(ErrorKind::ServerShutdown, notice.message.clone())
                .with_sqlstate(notice.sqlstate.clone())
                .with_hint(
                    "connect again when the server is back; nothing of an unfinished write remains",
                ),
            (ChannelError::Closed, None) => Error::new(
                ErrorKind::ConnectionLost,
                "the server closed the connection without saying why",
            )
            .with_hint(
                "see the server's log, then connect again; nothing of an unfinished write remains",
            ),
            (ChannelError::Broken(how), None) => Error::new(
                ErrorKind::ConnectionLost,
                format!("the connection to the server broke: {how}"),
            )
            .with_hint(
                "check the network, then connect again; nothing of an unfinished write remains",
            ),
        };
        self.lost = Some(error.clone());
        error
    }

    /// A fatal error among what has arrived.
    fn last_words(&mut self) -> Option<Report> {
        loop {
            let mut needed = frame::HEADER;
            let frame = loop {
                if !self.stream.available(needed).unwrap_or(false) {
                    return None;
                }
                match frame::split(self.stream.front()).ok()? {
                    Split::Partial(more) => needed = more,
                    Split::Frame(frame) => break frame,
                }
            };
            let length = frame.whole.len();
            let message = backend::parse(frame);
            self.stream.consume(length);
            match self.take_aside(message.ok()?) {
                Ok(Some(Message::ErrorResponse(body))) => {
                    let report = backend::report(body.fields()).ok()?;
                    if report.is_fatal() {
                        return Some(report);
                    }
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn shutdown_notice(&self) -> Option<&Notice> {
        self.notices
            .back()
            .filter(|notice| notice.sqlstate.starts_with("57P"))
    }

    /// The failure of an answer that has no place. The connection is of no use then: what would
    /// come next is not known, and a server that waits for something would be waited for.
    pub fn unexpected(&mut self, place: &str) -> Error {
        self.violated(Violation::new(format!("an unexpected message {place}")))
    }

    /// The failure of an answer that the protocol does not allow.
    pub fn violated(&mut self, violation: Violation) -> Error {
        self.broken_by(violation.into())
    }

    /// Takes note of a failure found in what the server sent. After a violation of the protocol
    /// the connection is of no use; a value that does not fit leaves it as it is.
    pub fn broken_by(&mut self, error: Error) -> Error {
        if error.kind() == ErrorKind::Protocol && self.lost.is_none() {
            self.lost = Some(error.clone());
        }
        error
    }
}

/// Why [`Session::each_body`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The caller wants the message later.
    Kept,
    /// The next message is of another kind.
    Other,
}

/// The beginning of a text that may be long.
fn cut(mut text: String) -> String {
    if text.len() > NOTICE {
        text.truncate(text.floor_char_boundary(NOTICE));
        text.push('…');
    }
    text
}
