//! Kubernetes: names of the client's, namespaces as parents, patches, pages with a token.

use serde_json::{Value, json};

use super::service::Document;

pub(crate) const KUBERNETES: Document = Document {
    name: "kubernetes",
    file: "k8s-apis__apps__v1.json",
    credentials: "BearerToken=Bearer token",
    shown: ("authorization", "Bearer token"),
};

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [
                    { "name": "web", "image": "nginx:1.27", "ports": [{ "containerPort": 80 }], "resources": { "limits": { "cpu": "500m" } } },
                    { "name": "side", "image": "busybox" },
                ] },
            },
        },
    })
}

/// Whether a value is in another one, which may have more: what the document says that is there if it is left out.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn deployments() {
    let mut cluster = KUBERNETES.start().await;
    let (apps, shop) = ("/apis/apps/v1", "/apis/apps/v1/namespaces/shop/deployments");
    for name in ["web", "api", "db"] {
        let made = cluster.json("POST", shop, &deployment(name, 2)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let mut expected = deployment(name, 2);
        expected["metadata"]["namespace"] = "shop".into();
        let made = made.json();
        for part in ["apiVersion", "kind", "metadata", "spec"] {
            assert!(
                holds(&made[part], &expected[part]),
                "{part}: {made:#} is less than {expected:#}"
            );
        }
    }
    let elsewhere = format!("{apps}/namespaces/test/deployments");
    assert_eq!(
        cluster
            .json("POST", &elsewhere, &deployment("web", 1))
            .await
            .status,
        201
    );
    assert_eq!(
        cluster
            .json("POST", shop, &deployment("web", 1))
            .await
            .status,
        409
    );

    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().into_iter().flatten();
        let names = items.filter_map(|item| item["metadata"]["name"].as_str());
        names.map(str::to_owned).collect()
    };
    assert_eq!(names(&cluster.read(shop).await), ["api", "db", "web"]);
    assert_eq!(names(&cluster.read(&elsewhere).await), ["web"]);
    assert_eq!(
        names(&cluster.read(&format!("{apps}/deployments")).await).len(),
        4
    );
    let first = cluster.read(&format!("{shop}?limit=2")).await;
    let token = first["metadata"]["continue"]
        .as_str()
        .expect("there is more");
    let second = cluster
        .read(&format!("{shop}?limit=2&continue={token}"))
        .await;
    assert_eq!(
        (names(&first), names(&second)),
        (
            vec!["api".to_owned(), "db".to_owned()],
            vec!["web".to_owned()]
        )
    );
    assert!(
        second["metadata"]
            .get("continue")
            .is_none_or(|token| token == "")
    );

    let web = format!("{shop}/web");
    let tag = cluster.send("GET", &web).await.etag().to_owned();
    let patch = json!({ "spec": { "replicas": 5, "template": { "spec": { "serviceAccountName": "web" } } } });
    let patched = cluster
        .send_as(
            "PATCH",
            &web,
            "application/merge-patch+json",
            patch.to_string(),
        )
        .await;
    assert_eq!(patched.status, 200, "{patched:?}");
    let patched = patched.json();
    assert_eq!(patched["spec"]["replicas"], 5);
    assert_eq!(
        patched["spec"]["template"]["spec"]["containers"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    let steps = json!([
        { "op": "test", "path": "/spec/replicas", "value": 5 },
        { "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:1.28" },
    ]);
    let patched = cluster
        .send_as(
            "PATCH",
            &web,
            "application/json-patch+json",
            steps.to_string(),
        )
        .await;
    assert_eq!(
        patched.json()["spec"]["template"]["spec"]["containers"][0]["image"],
        "nginx:1.28"
    );
    let late = cluster
        .send_as(
            "PATCH",
            &web,
            "application/json-patch+json",
            r#"[{"op": "test", "path": "/spec/replicas", "value": 6}]"#,
        )
        .await;
    assert_eq!(late.status, 409, "{late:?}");
    // Kinds of patches that would mean something else.
    for kind in [
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ] {
        let refused = cluster.send_as("PATCH", &web, kind, "{}").await;
        assert_eq!(refused.status, 415, "{kind}: {refused:?}");
        assert!(
            refused
                .header("accept")
                .is_some_and(|all| all.contains("application/merge-patch+json"))
        );
    }
    let stale = cluster
        .request("PUT", &web)
        .header("if-match", &tag)
        .json(&deployment("web", 1))
        .send()
        .await;
    assert_eq!(stale.status, 412);
    let replaced = cluster.json("PUT", &web, &deployment("web", 7)).await;
    assert_eq!(
        (replaced.status, &replaced.json()["spec"]["replicas"]),
        (200, &json!(7))
    );
    let new = cluster
        .json("PUT", &format!("{shop}/cache"), &deployment("cache", 1))
        .await;
    assert_eq!(new.status, 201, "{new:?}");

    for (method, target, body, status, named) in [
        (
            "PUT",
            web.clone(),
            deployment("other", 1),
            422,
            "/metadata/name",
        ),
        (
            "POST",
            shop.to_owned(),
            json!({ "metadata": { "name": "x" }, "spec": {} }),
            422,
            "/spec/selector",
        ),
        (
            "POST",
            shop.to_owned(),
            json!({ "metadata": { "name": "x" }, "spec": { "selector": {}, "template": {}, "replicas": "two" } }),
            422,
            "/spec/replicas",
        ),
        (
            "GET",
            format!("{shop}/none"),
            Value::Null,
            404,
            "there is no deployment",
        ),
        (
            "GET",
            format!("{shop}?labelSelector=app%3Dweb"),
            Value::Null,
            501,
            "labelSelector",
        ),
        (
            "GET",
            format!("{shop}?limit=two"),
            Value::Null,
            400,
            "limit",
        ),
    ] {
        let reply = match &body {
            Value::Null => cluster.send(method, &target).await,
            body => cluster.json(method, &target, body).await,
        };
        assert_eq!(reply.status, status, "{method} {target}: {reply:?}");
        assert!(reply.text().contains(named), "{method} {target}: {reply:?}");
    }
    let gone = cluster.send("DELETE", &format!("{shop}/db")).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_ne!(
        gone.json()["kind"],
        "Deployment",
        "it says how it went, not what it was"
    );
    // The document has a scheme, and no operation that asks for it.
    assert_eq!(cluster.stranger("GET", shop).await.status, 200);

    let before = cluster.send("GET", &web).await;
    cluster.crash().await;
    let after = cluster.send("GET", &web).await;
    assert_eq!((after.json(), after.etag()), (before.json(), before.etag()));
    assert_eq!(names(&cluster.read(shop).await), ["api", "cache", "web"]);
    assert_eq!(cluster.send("GET", &format!("{shop}/db")).await.status, 404);
}
