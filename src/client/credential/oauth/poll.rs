//! Asking again and again whether somebody has signed in (RFC 8628 section 3.5), within limits of our own.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use oauth2::basic::BasicTokenResponse;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, StandardDeviceAuthorizationResponse};
use tokio::sync::mpsc;

use super::OAuthSettings;
use super::exchange::{TokenClient, refused};
use crate::client::Error;
use crate::egress;

/// How much later than here the crate would see the end, at most so late that there is a date for it.
const LATER: Duration = Duration::from_secs(60);
const LAST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What asks, and within which limits.
pub(super) struct Poll<'p> {
    pub(super) client: &'p TokenClient,
    /// The token endpoint.
    pub(super) url: &'p str,
    pub(super) settings: &'p OAuthSettings,
    /// How long may be asked.
    pub(super) left: Duration,
}

/// The way of the questions, which tells when too many of them in a row came to nothing.
struct Counted<'w, W> {
    web: &'w W,
    failed: AtomicU32,
    failures_max: u32,
    tell: mpsc::Sender<egress::Error>,
}

impl<'c, W> AsyncHttpClient<'c> for Counted<'_, W>
where
    W: AsyncHttpClient<'c, Error = egress::Error, Future: Send> + Sync,
{
    type Error = egress::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, egress::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let asking = self.web.call(request);
        Box::pin(asking.inspect(|answered| self.note(answered.as_ref().err())))
    }
}

impl<W> Counted<'_, W> {
    /// Takes note of how one of them ended.
    fn note(&self, failure: Option<&egress::Error>) {
        let Some(error) = failure else {
            return self.failed.store(0, Ordering::Relaxed);
        };
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed >= self.failures_max {
            // Whoever waits for one has it already.
            let _ = self.tell.try_send(error.clone());
        }
    }
}

impl Poll<'_> {
    /// The answer at the end; `None` when the time is over.
    ///
    /// # Errors
    /// What the server says at last, and [`Error::Unreachable`] when too many questions in a row came to nothing.
    pub(super) async fn answer<W>(
        &self,
        details: &StandardDeviceAuthorizationResponse,
        web: &W,
    ) -> Option<Result<BasicTokenResponse, Error>>
    where
        W: for<'c> AsyncHttpClient<'c, Error = egress::Error, Future: Send> + Sync,
    {
        let settings = self.settings;
        let details = match self.bounded(details) {
            Ok(details) => details,
            Err(error) => return Some(Err(error)),
        };
        let (tell, mut told) = mpsc::channel(1);
        let counted = Counted {
            web,
            failed: AtomicU32::new(0),
            failures_max: settings.device_failures_max,
            tell,
        };
        // What slowed down stays slow: the crate bounds the pause behind a failure only by the most that is taken at first.
        let longest = AtomicU64::new(millis(settings.device_interval_min));
        let pause = |asked: Duration| {
            let asked = millis(asked);
            let before = longest.fetch_max(asked, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(before.max(asked)))
        };
        let request = self.client.exchange_device_access_token(&details);
        let request = request.set_max_backoff_interval(settings.device_interval_max);
        // The end of the time is ours to say, by a clock that nobody sets.
        let end = self.left.saturating_add(LATER).min(LAST);
        let asking = request.request_async(&counted, pause, Some(end));
        tokio::select! {
            biased;
            () = tokio::time::sleep(self.left) => None,
            Some(error) = told.recv() => Some(Err(self.given_up(&error))),
            answered = asking => Some(answered.map_err(|error| refused(self.url, error))),
        }
    }

    /// The same details with a pause that can be kept. Each `slow_down` adds 5 seconds to it, for as long as may be asked (RFC
    /// 8628 section 3.5).
    fn bounded(
        &self,
        details: &StandardDeviceAuthorizationResponse,
    ) -> Result<StandardDeviceAuthorizationResponse, Error> {
        let limit = self.settings.device_interval_max;
        if details.interval() <= limit {
            return Ok(details.clone());
        }
        let rewritten = serde_json::to_value(details).and_then(|mut details| {
            details["interval"] = limit.as_secs().into();
            serde_json::from_value(details)
        });
        // Its text may hold the code.
        rewritten.map_err(|_| Error::TokenRefused(format!("{} can't be asked as its server wants", self.url)))
    }

    fn given_up(&self, error: &egress::Error) -> Error {
        let failures = self.settings.device_failures_max;
        Error::Unreachable {
            address: self.url.to_owned(),
            cause: format!(
                "{failures} questions in a row whether somebody has signed in came to nothing: {error}"
            ),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tokio::time::Instant;

    use super::super::endpoints::Endpoints;
    use super::super::exchange::{client, judged};
    use super::super::{Grant, OAuthEndpoints};
    use super::*;

    const URL: &str = "https://idp.example.com/token";
    const PATIENCE: Duration = Duration::from_secs(900);

    type Answers = Vec<Result<Value, egress::Error>>;

    /// What came of asking a server that answers so, the last answer again and again, and when it was asked, in seconds.
    async fn poll(interval: Value, answers: Answers) -> (Option<Result<(), Error>>, Vec<u64>) {
        let endpoints = OAuthEndpoints::Urls {
            token: URL.to_owned(),
            device: None,
        };
        let settings = OAuthSettings::new(endpoints, Grant::DeviceCode, "client");
        let endpoints = Endpoints {
            token: URL.to_owned(),
            device: None,
        };
        let client = client(&settings, &endpoints).unwrap();
        let details = json!({"device_code": "d", "user_code": "u", "verification_uri": "https://idp.example.com",
            "expires_in": 3_600, "interval": interval});
        let details = serde_json::from_value(details).unwrap();
        let (began, times) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let seen = times.clone();
        let web = move |_: HttpRequest| {
            let mut times = seen.lock().unwrap();
            let answer = answers[times.len().min(answers.len() - 1)].clone();
            times.push(began.elapsed().as_secs());
            std::future::ready(answer.and_then(|body| {
                let usual = if body.get("error").is_some() { 400 } else { 200 };
                let status = body.get("status").and_then(Value::as_u64).unwrap_or(usual);
                let response = http::Response::builder().status(status as u16);
                judged(response.body(body.to_string().into_bytes()).unwrap())
            }))
        };
        let poll = Poll {
            client: &client,
            url: URL,
            settings: &settings,
            left: PATIENCE,
        };
        let answered = poll.answer(&details, &web).await;
        let times = times.lock().unwrap().clone();
        (answered.map(|answered| answered.map(drop)), times)
    }

    fn says(error: &str) -> Result<Value, egress::Error> {
        Ok(json!({ "error": error }))
    }

    fn token() -> Result<Value, egress::Error> {
        Ok(json!({"access_token": "t", "token_type": "bearer"}))
    }

    /// Whatever the server wants, and however often it wants more.
    #[tokio::test(start_paused = true)]
    async fn pauses_have_limits_and_the_end_is_ours() {
        for interval in [json!(u64::MAX), json!(3_600)] {
            let began = Instant::now();
            let (answered, times) = poll(interval, vec![says("slow_down")]).await;
            assert!(answered.is_none());
            assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
            // At first a minute, then 5 seconds more each time.
            assert_eq!(times, [0, 65, 135, 210, 290, 375, 465, 560, 660, 765, 875]);
        }
        let (_, times) = poll(json!(0), vec![says("authorization_pending")]).await;
        assert_eq!(times, (0..900).collect::<Vec<_>>());
        let (answered, times) = poll(
            json!(1),
            vec![
                says("slow_down"),
                says("slow_down"),
                says("authorization_pending"),
                token(),
            ],
        )
        .await;
        assert!(matches!(answered, Some(Ok(()))));
        assert_eq!(times, [0, 6, 17, 28]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_questions_in_a_row_may_come_to_nothing() {
        let (away, ill) = (Err(egress::Error::Timeout), Err(egress::Error::Status(503)));
        let pending = says("authorization_pending");
        let (four, some) = ([&away, &ill, &away, &ill], [&pending]);
        let all = four.into_iter().chain(some).chain(four).cloned();
        let (answered, times) = poll(json!(5), all.chain([token()]).collect()).await;
        assert!(matches!(answered, Some(Ok(()))), "{answered:?}");
        assert_eq!(times.len(), 10);

        let (answered, times) = poll(json!(5), vec![pending, ill]).await;
        let Some(Err(error @ Error::Unreachable { .. })) = answered else {
            panic!("{answered:?}");
        };
        assert!(error.to_string().contains("5 questions in a row"), "{error}");
        assert!(error.to_string().contains("503"), "{error}");
        // Each failure doubles the pause, up to a minute.
        assert_eq!(times, [0, 5, 15, 35, 75, 135]);
    }

    /// What a proxy says that has no time is no answer, and no pause gets shorter by it.
    #[tokio::test(start_paused = true)]
    async fn too_many_requests_are_trouble_unless_the_server_says_so_itself() {
        for status in [408, 429] {
            let busy = || Ok(json!({"status": status, "detail": "later"}));
            let slow = || Ok(json!({"status": status, "error": "slow_down"}));
            let (answered, times) = poll(json!(5), vec![busy(), busy(), slow(), token()]).await;
            assert!(matches!(answered, Some(Ok(()))), "{answered:?}");
            assert_eq!(times, [0, 10, 30, 55]);

            let (answered, times) = poll(json!(60), vec![slow(), slow(), busy(), token()]).await;
            assert!(matches!(answered, Some(Ok(()))), "{answered:?}");
            assert_eq!(times, [0, 65, 135, 205]);

            let (answered, times) = poll(json!(5), vec![busy()]).await;
            let Some(Err(error @ Error::Unreachable { .. })) = answered else {
                panic!("{answered:?}");
            };
            assert!(error.to_string().contains(&status.to_string()), "{error}");
            assert_eq!(times.len(), 5);

            let denied = Ok(json!({"status": status, "error": "access_denied"}));
            let (answered, _) = poll(json!(5), vec![denied]).await;
            assert!(
                matches!(answered, Some(Err(Error::TokenRefused(_)))),
                "{answered:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_says_at_last_ends_it() {
        let (answered, times) = poll(json!(5), vec![says("access_denied")]).await;
        assert!(
            matches!(&answered, Some(Err(Error::TokenRefused(why))) if why.contains("access_denied")),
            "{answered:?}"
        );
        assert_eq!(times, [0]);
    }
}
