//! Lists, page by page.

use memgen_tests::Client;
use serde_json::{Value, json};

use super::owners::{create_owner, start};

/// All names, page by page.
async fn names(client: &Client, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut path = format!("/owners?{query}");
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        for owner in page["items"].as_array().expect("items") {
            names.push(owner["name"].as_str().expect("a name").to_owned());
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => path = format!("/owners?{query}&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn pages_to_the_end_while_others_come_and_go() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    let mut lasting = Vec::new();
    for n in 0..60 {
        let city = if n % 3 == 0 { "Ulm" } else { "Bonn" };
        create_owner(
            &client,
            &json!({"name": format!("{n}"), "city": city, "since": "2020-01-01T01:00:00+01:00"}),
        )
        .await;
        lasting.push(format!("{n}"));
    }
    let coming = tokio::spawn(async move {
        for n in 0..60 {
            let id = create_owner(&other, &json!({"name": format!("x{n}"), "city": "Rom"})).await;
            assert_eq!(other.delete(&format!("/owners/{id}")).await.status, 204);
        }
    });
    for query in ["limit=7", "limit=1", "limit=1000"] {
        let mut found = names(&client, query).await;
        found.retain(|name| !name.starts_with('x'));
        let mut sorted = found.clone();
        sorted.sort_by_key(|name| name.parse::<u32>().expect("a number"));
        assert_eq!(sorted, lasting, "{query}");
    }
    coming.await.expect("they come and go");
    for (query, count) in [
        ("city=Ulm&limit=3", 20),
        ("city=Bonn&limit=7", 40),
        ("city=Rom", 0),
        ("since=2020-01-01T00:00:00Z&limit=9", 60),
        ("since=2020-01-01T00:00:00Z&city=Ulm", 20),
    ] {
        assert_eq!(names(&client, query).await.len(), count, "{query}");
        assert_eq!(
            client.get(&format!("/owners?{query}")).await.json()["total"],
            count,
            "{query}"
        );
    }
    started.running.stop().await;
}
