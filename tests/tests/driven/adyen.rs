//! Adyen's legal entities: OpenAPI 3.1, objects within objects, what only the server sets, two ways to say who asks.

use serde_json::json;

use super::service::Document;

pub(crate) const ADYEN: Document = Document {
    name: "adyen",
    file: "st31-adyen-LegalEntityService-3.json",
    credentials: "ApiKeyAuth=key,BasicAuth=ws@Company:secret",
    shown: ("x-api-key", "key"),
};

#[tokio::test]
async fn legal_entities() {
    let mut adyen = ADYEN.start().await;
    assert_eq!(adyen.stranger("GET", "/legalEntities/x").await.status, 401);
    let entity = json!({
        "type": "individual",
        "reference": "customer 7",
        "individual": {
            "name": { "firstName": "Ann", "lastName": "Lee" },
            "birthData": { "dateOfBirth": "1990-06-21" },
            "residentialAddress": { "country": "NL", "city": "Amsterdam", "postalCode": "1011AB", "street": "Main 1" },
        },
        "capabilities": { "sendToTransferInstrument": { "allowed": true } },
        "id": "mine",
    });
    let made = adyen.json("POST", "/legalEntities", &entity).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!(made["individual"], entity["individual"]);
    assert!(
        made.get("capabilities").is_none(),
        "only the server sets them: {made}"
    );
    let id = made["id"].as_str().expect("it has one").to_owned();
    assert_ne!(id, "mine");
    let path = format!("/legalEntities/{id}");

    let basic = adyen
        .request("GET", &path)
        .header("x-api-key", "")
        .header("authorization", "Basic d3NAQ29tcGFueTpzZWNyZXQ=");
    assert_eq!(basic.send().await.status, 200);

    let change = json!({ "reference": "customer 8", "individual": { "email": "ann@example.com" } });
    let changed = adyen.json("PATCH", &path, &change).await;
    assert_eq!(
        changed.status, 422,
        "the part that is given is a whole one: {changed:?}"
    );
    let change = json!({ "reference": "customer 8", "individual": { "email": "ann@example.com", "name": { "firstName": "Anna", "lastName": "Lee" }, "residentialAddress": { "country": "NL" } } });
    let changed = adyen.json("PATCH", &path, &change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!(changed["individual"]["name"]["firstName"], "Anna");
    assert_eq!(
        changed["individual"]["residentialAddress"]["city"],
        "Amsterdam"
    );

    for (target, body, status, named) in [
        ("/legalEntities", json!({}), 422, "type"),
        ("/legalEntities", json!({ "type": "robot" }), 422, "type"),
        (
            "/legalEntities",
            json!({ "type": "trust", "reference": "x".repeat(151) }),
            422,
            "reference",
        ),
        (
            "/legalEntities",
            json!({ "type": "individual", "individual": { "name": { "firstName": "A" } } }),
            422,
            "lastName",
        ),
        (
            "/businessLines",
            json!({ "service": "banking" }),
            422,
            "industryCode",
        ),
    ] {
        let reply = adyen.json("POST", target, &body).await;
        assert_eq!(reply.status, status, "{target} {body}: {reply:?}");
        assert!(reply.text().contains(named), "{target} {body}: {reply:?}");
    }

    let line = json!({ "service": "paymentProcessing", "industryCode": "4431A", "legalEntityId": id, "salesChannels": ["eCommerce"], "webData": [{ "webAddress": "https://example.com" }] });
    let line = adyen.json("POST", "/businessLines", &line).await;
    assert_eq!(line.status, 200, "{line:?}");
    let line = format!(
        "/businessLines/{}",
        line.json()["id"].as_str().expect("it has one")
    );
    let document = json!({
        "attachment": { "content": "aGVsbG8=", "contentType": "application/pdf" },
        "description": "passport", "type": "passport", "owner": { "id": id, "type": "legalEntity" },
    });
    let document = adyen.json("POST", "/documents", &document).await;
    assert_eq!(document.status, 200, "{document:?}");
    let document = format!(
        "/documents/{}",
        document.json()["id"].as_str().expect("it has one")
    );
    let gone = adyen.send("DELETE", &document).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(
        adyen
            .send("GET", &format!("{path}/businessLines"))
            .await
            .status,
        501
    );

    adyen.crash().await;
    assert_eq!(adyen.read(&path).await, changed);
    assert_eq!(adyen.read(&line).await["industryCode"], "4431A");
    assert_eq!(adyen.send("GET", &document).await.status, 404);
}
