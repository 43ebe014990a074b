//! One operation of the document: from a request to a response.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::{
    body::{Body, JSON_PATCH, Payload, RequestBody},
    cx::Cx,
    document::Document,
    handlers::OperationRoute,
    parameters::{self, Parameter},
    security::{Authenticate, Configured, Demand, Principal},
    shape::Shapes,
    states::{StateOperation, StateRequest},
};
use crate::{
    call::{Call, Caller, Halt, Why},
    problem::{Problem, Result},
    template::Template,
};

/// What is known of an operation when the service starts.
pub(crate) struct Operation {
    pub(crate) id: Arc<str>,
    /// In upper case.
    pub(crate) method: String,
    pub(crate) template: Template,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<RequestBody>,
    pub(crate) demand: Option<Demand>,
    pub(crate) shapes: Shapes,
    pub(crate) what: What,
}

/// What becomes of it.
pub(crate) enum What {
    /// The runtime does it on a state.
    State(Arc<StateOperation>),
    /// A function of the user's.
    Handler(OperationRoute),
    /// Nobody does it, for this reason.
    Nobody(String),
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({})", self.id)
    }
}

/// What operations have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) document: Arc<Document>,
    pub(crate) authenticate: Option<Authenticate>,
    pub(crate) configured: Configured,
}

impl Operation {
    /// Answers a request. Errors have the document's shape.
    pub(crate) async fn answer(
        self: Arc<Self>,
        shared: Shared,
        call: Call,
        path: Vec<(String, String)>,
    ) -> Result<Response, Halt> {
        let document = shared.document.clone();
        let response = match self.run(shared, call, path).await {
            Ok(response) => response,
            Err(Halt(Why::Answered(response))) => *response,
            Err(moved) => return Err(moved),
        };
        Ok(self.shapes.apply(&document, response).await)
    }

    async fn run(
        &self,
        shared: Shared,
        mut call: Call,
        path: Vec<(String, String)>,
    ) -> Result<Response, Halt> {
        let document = &shared.document;
        let principal = match &self.demand {
            None => None,
            Some(demand) => {
                let authenticate = shared.authenticate.as_ref();
                demand
                    .check(call.parts(), authenticate, &shared.configured)
                    .await?
            }
        };
        if let What::Nobody(why) = &self.what {
            return Err(Problem::not_implemented(why.clone()).into());
        }
        let path = path
            .iter()
            .map(|(name, text)| (name.as_str(), text.clone()));
        let parameters =
            parameters::read(document, &self.parameters, path.collect(), call.parts())?;
        let body = self.read_body(document, &mut call).await?;
        let response = match &self.what {
            What::State(operation) => {
                let is_json_patch = body.media_type() == JSON_PATCH;
                let body = match body.payload {
                    Payload::Value(value) => Some(value),
                    Payload::Nothing => None,
                    Payload::Text(_) | Payload::Bytes(_) => {
                        let problem = Problem::unsupported_media_type("application/json");
                        return Err(problem.into());
                    }
                };
                let request = StateRequest {
                    call,
                    parameters,
                    body,
                    is_json_patch,
                };
                operation.perform(request).await?
            }
            What::Handler(route) => {
                self.handle(route, call, principal, parameters, body)
                    .await?
            }
            What::Nobody(_) => unreachable!("it was answered above"),
        };
        Ok(response)
    }

    async fn read_body(&self, document: &Document, call: &mut Call) -> Result<Body> {
        let Some(body) = &self.body else {
            return Ok(Body::default());
        };
        let bytes = call.body().await?;
        let depth_max = call.node().config.limits.json_depth_max;
        let whole = match &self.what {
            What::State(operation) => !operation.is_update(),
            What::Handler(_) | What::Nobody(_) => true,
        };
        let headers = &call.parts().headers;
        body.read(document, headers, bytes, depth_max, whole).await
    }

    async fn handle(
        &self,
        route: &OperationRoute,
        call: Call,
        principal: Option<Principal>,
        parameters: Map<String, Value>,
        body: Body,
    ) -> Result<Response, Halt> {
        let parts = call.parts();
        let cx = Cx {
            node: call.node().clone(),
            caller: parts
                .extensions
                .get()
                .copied()
                .unwrap_or(Caller { address: None }),
            principal,
            headers: parts.headers.clone(),
            operation: self.id.clone(),
        };
        let answer = route.call.clone();
        let free = call.free().await?;
        free.answer(async move {
            match answer(cx, parameters, body).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            }
        })
        .await
    }
}
