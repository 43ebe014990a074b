//! From method and path to the function that answers.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::OriginalUri,
    http::{Method, Request},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use futures_util::FutureExt;

use crate::{
    call::{Call, CallFuture, Halt, Via, Why},
    cluster::Pause,
    contract::Prepared,
    node::Node,
    problem::Problem,
    template::Template,
};

/// A method, a path template, and what answers.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) template: Arc<Template>,
    pub(crate) call: fn(Call) -> CallFuture,
}

impl Endpoint {
    pub(crate) fn new(
        method: Method,
        template: impl Into<String>,
        call: fn(Call) -> CallFuture,
    ) -> Self {
        Self {
            method,
            template: Arc::new(Template::new(template)),
            call,
        }
    }
}

/// A router over the endpoints, with problem documents for what none of them answers.
///
/// `contract` answers the paths of a document.
pub(crate) fn router(
    node: &Arc<Node>,
    endpoints: &[Endpoint],
    contract: Option<&Arc<Prepared>>,
    via: Via,
) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints {
        let filter = MethodFilter::try_from(endpoint.method.clone())
            .expect("the macros know only methods that the router has");
        let metrics = node
            .metrics
            .route(&endpoint.method, endpoint.template.text());
        let (node, template, call) = (node.clone(), endpoint.template.clone(), endpoint.call);
        let handler = move |request: Request<Body>| {
            let started = Instant::now();
            let first = Call::new(node.clone(), template.clone(), request, via);
            let metrics = metrics.clone();
            async move {
                let response = answer(first, call).await;
                metrics.observe(response.status(), started.elapsed());
                response
            }
        };
        router = router.route(&endpoint.template.numbered(), on(filter, handler));
    }
    if let Some(contract) = contract {
        let served = Arc::new(contract.serve(node, via));
        return router.fallback(move |request: Request<Body>| {
            let served = served.clone();
            async move { served.answer(request).await }
        });
    }
    router
        .fallback(|OriginalUri(uri): OriginalUri| async move {
            Problem::not_found(format!("there is no `{}` here", uri.path()))
        })
        .method_not_allowed_fallback(|method: Method| async move {
            Problem::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                format!("`{method}` is not possible here; `Allow` says what is"),
            )
        })
}

/// Makes a call, again where its partition went to another node in the middle and nothing had happened. Whatever happens in a handler, the client
/// gets an answer.
pub(crate) async fn answer<F>(first: Call, make: impl Fn(Call) -> F) -> Response
where
    F: Future<Output = Result<Response, Halt>>,
{
    let mut call = first;
    let mut pause = Pause::new(call.deadline());
    loop {
        let node = call.node().clone();
        let answered = AssertUnwindSafe(async { make(call).await }).catch_unwind();
        match answered.await {
            Ok(Ok(response)) => return response,
            Ok(Err(Halt(Why::Answered(response)))) => return *response,
            Ok(Err(Halt(Why::Moved(again)))) => {
                if let Err(problem) = pause.wait(&node.cluster).await {
                    return problem.into_response();
                }
                call = again;
            }
            Err(_) => return Problem::internal("a handler panicked").into_response(),
        }
    }
}
