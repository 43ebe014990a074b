//! A request that belongs to no key.

use axum::{Json, response::Response};
use serde::de::DeserializeOwned;

use super::{Call, Halt, time_is_up, to_end::to_end};
use crate::{
    home::RunningGuard,
    tx::{Answer, Ran, Tx, transact},
};

/// A request that belongs to no key.
pub struct Free {
    pub(super) call: Call,
    pub(super) guard: Option<RunningGuard>,
}

impl Free {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// The argument that is the path placeholder `name`.
    ///
    /// # Errors
    /// 400 if the text there is not a `T`.
    pub fn path<T: DeserializeOwned>(&self, name: &str) -> Result<T, Halt> {
        Ok(self.call.path_value(name)?)
    }

    /// The argument that is the JSON body.
    ///
    /// # Errors
    /// 400, 408, 413, 415 or 422.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<Json<T>, Halt> {
        Ok(Json(self.call.read_json(None).await?))
    }

    /// An argument that is made of the request's head.
    ///
    /// # Errors
    /// What the extractor says, as a problem document.
    pub async fn part<T: crate::private::argument::Argument>(&mut self) -> Result<T, Halt> {
        self.call.extract().await
    }

    /// Runs the function of a transaction, until it is committed or can't be: to its end even if the client goes away in the middle.
    ///
    /// # Errors
    /// The early answer; 503 when the time of a request is up, or others change again and again what it reads.
    pub async fn transact(
        mut self,
        function: impl for<'t> Fn(&'t mut Self, &'t mut Tx) -> Ran<'t> + Send + Sync + 'static,
    ) -> Result<Response, Halt> {
        // Each run reads it anew.
        self.call.body().await?;
        let guard = self.guard.take();
        let remembered = guard.as_ref().and_then(|guard| {
            let request = guard.request.clone()?;
            Some((request, guard.home.partition().clone()))
        });
        to_end(async move {
            let Answer { response, kept } = transact(&mut self, remembered, &function).await?;
            match guard {
                Some(guard) if !kept => Ok(guard.finish(response).await?),
                _ => Ok(response),
            }
        })
        .await
    }

    /// Runs the function, to its end even if the client goes away in the middle: what it began should not stay half done.
    ///
    /// # Errors
    /// 503 when the time of a request is up.
    pub async fn answer(
        self,
        run: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Halt> {
        let deadline = self.call.0.deadline;
        let guard = self.guard;
        to_end(async move {
            let ran = tokio::time::timeout_at(deadline, run).await;
            let response = ran.map_err(|_| time_is_up())?;
            match guard {
                Some(guard) => Ok(guard.finish(response).await?),
                None => Ok(response),
            }
        })
        .await
    }
}
