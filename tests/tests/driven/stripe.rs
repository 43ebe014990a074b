//! Stripe: forms with nested names, lists that say whether there is more, replies of several kinds.

use serde_json::json;

use super::service::Document;

pub(crate) const STRIPE: Document = Document {
    name: "stripe",
    file: "stripe.yaml",
    credentials: "basicAuth=sk_test:,bearerAuth=sk_test",
    shown: ("authorization", "Bearer sk_test"),
};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn customers_and_coupons() {
    let mut stripe = STRIPE.start().await;
    let closed = stripe.stranger("GET", "/v1/customers").await;
    assert_eq!(closed.status, 401);
    assert!(closed.json()["error"]["message"].is_string(), "{closed:?}");

    let mut ids = Vec::new();
    for number in 0..12 {
        let form = format!(
            "name=Customer+{number}&email=c{}%40example.com&address[line1]=Main+1&address[city]=Ulm&metadata[order]={number}&preferred_locales[]=de&preferred_locales[]=en",
            number % 3
        );
        let made = stripe.send_as("POST", "/v1/customers", FORM, form).await;
        assert_eq!(made.status, 200, "{made:?}");
        let made = made.json();
        assert_eq!(made["object"], "customer");
        assert_eq!(made["address"]["city"], "Ulm");
        assert_eq!(made["metadata"], json!({ "order": number.to_string() }));
        assert_eq!(made["preferred_locales"], json!(["de", "en"]));
        assert!(
            made["created"]
                .as_i64()
                .is_some_and(|seconds| seconds > 1_700_000_000 && seconds < 100_000_000_000)
        );
        ids.push(made["id"].as_str().expect("the server makes it").to_owned());
    }
    let path = format!("/v1/customers/{}", ids[0]);
    let changed = stripe
        .send_as(
            "POST",
            &path,
            FORM,
            "name=Ann&address[line1]=Side+2&metadata[vip]=yes&balance=-500",
        )
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!(
        (&changed["name"], &changed["balance"]),
        (&json!("Ann"), &json!(-500))
    );
    assert_eq!(changed["metadata"], json!({ "order": "0", "vip": "yes" }));

    let (mut seen, mut target) = (Vec::new(), "/v1/customers?limit=5".to_owned());
    loop {
        let page = stripe.read(&target).await;
        let data = page["data"].as_array().expect("a list").clone();
        seen.extend(
            data.iter()
                .filter_map(|one| Some(one["id"].as_str()?.to_owned())),
        );
        if page["has_more"] != true {
            break;
        }
        target = format!(
            "/v1/customers?limit=5&starting_after={}",
            seen.last().expect("there are some")
        );
    }
    let mut all = ids.clone();
    all.sort();
    assert_eq!(seen, all);
    let count = |list: serde_json::Value| list["data"].as_array().map(Vec::len);
    assert_eq!(
        count(stripe.read("/v1/customers?email=c1%40example.com").await),
        Some(4)
    );
    assert_eq!(
        count(stripe.read("/v1/customers?created[gte]=1700000000").await),
        Some(12)
    );
    assert_eq!(
        count(stripe.read("/v1/customers?created[lt]=1700000000").await),
        Some(0)
    );

    let coupon = stripe
        .send_as(
            "POST",
            "/v1/coupons",
            FORM,
            "id=SPRING&duration=repeating&duration_in_months=3&percent_off=12.5",
        )
        .await;
    assert_eq!(coupon.status, 200, "{coupon:?}");
    assert_eq!(coupon.json()["percent_off"], 12.5);
    assert_eq!(
        stripe
            .send_as("POST", "/v1/coupons", FORM, "id=SPRING&duration=once")
            .await
            .status,
        409
    );
    for (form, status, named) in [
        ("percent_off=5", 422, "duration"),
        ("duration=sometimes", 422, "duration"),
        ("duration=once&percent_off=much", 400, "percent_off"),
        ("duration=once&colour=red", 422, "colour"),
        ("duration=once&duration=once", 400, "duration"),
    ] {
        let reply = stripe.send_as("POST", "/v1/coupons", FORM, form).await;
        assert_eq!(reply.status, status, "{form}: {reply:?}");
        assert!(reply.text().contains(named), "{form}: {reply:?}");
    }
    let tax = stripe
        .send_as(
            "POST",
            &format!("{path}/tax_ids"),
            FORM,
            "type=eu_vat&value=DE123",
        )
        .await;
    assert_eq!(tax.status, 200, "{tax:?}");
    let taxes = format!("{path}/tax_ids");
    assert_eq!(stripe.read(&taxes).await["data"], json!([tax.json()]));
    assert_eq!(
        stripe
            .send_as(
                "POST",
                "/v1/customers/none/tax_ids",
                FORM,
                "type=eu_vat&value=DE123"
            )
            .await
            .status,
        404
    );

    let gone = format!("/v1/customers/{}", ids[1]);
    let deleted = stripe.send("DELETE", &gone).await;
    assert_eq!(
        (deleted.status, deleted.json()),
        (
            200,
            json!({ "deleted": true, "id": ids[1], "object": "customer" })
        )
    );

    stripe.crash().await;
    assert_eq!(stripe.read(&path).await, changed);
    assert_eq!(stripe.read("/v1/coupons/SPRING").await, coupon.json());
    assert_eq!(stripe.read(&taxes).await["data"], json!([tax.json()]));
    assert_eq!(stripe.send("GET", &gone).await.status, 404);
}
