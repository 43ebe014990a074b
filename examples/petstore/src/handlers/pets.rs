//! The operations of the tag `pets` that the document alone does not answer: search and photos.

use memgen::Entry;

use crate::{
    generated::{pets::*, states::PetState},
    photos::{BYTES_MAX, Picture},
};

/// Pets that are looked at in one go.
const CHUNK: usize = 1000;

/// Who answers.
#[derive(Debug)]
pub struct Handlers;

#[operations]
impl PetsApi for Handlers {
    async fn search_pets(cx: Cx, parameters: SearchPetsParameters) -> Result<SearchPetsReply> {
        let words: Vec<String> = parameters
            .q
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let price = parameters.price.unwrap_or_default();
        let cheap = |pet: &Pet| {
            let own = pet.price.unwrap_or_default();
            price.min.is_none_or(|min| own >= min) && price.max.is_none_or(|max| own <= max)
        };
        let pets = cx.store::<PetState>();
        let mut found: Vec<Pet> = Vec::new();
        let mut after = None;
        loop {
            let some = pets.list(after.as_ref(), CHUNK).await?;
            let Some(last) = some.last() else { break };
            after = Some(last.pet_id);
            let matching = some.into_iter().map(|state| state.pet);
            found.extend(matching.filter(|pet| cheap(pet) && has_all(pet, &words)));
        }
        found.sort_by(|one, other| {
            let price = |pet: &Pet| pet.price.unwrap_or_default();
            price(one).total_cmp(&price(other))
        });
        let x_total_count = found.len().try_into().unwrap_or(i64::MAX);
        let limit = parameters.limit.unwrap_or(100).try_into().unwrap_or(0);
        found.truncate(limit);
        Ok(SearchPetsReply::Ok {
            body: found,
            x_total_count,
        })
    }

    async fn upload_photo(
        cx: Cx,
        parameters: UploadPhotoParameters,
        body: Json<UploadPhotoBody>,
    ) -> Result<UploadPhotoReply> {
        let Json(UploadPhotoBody { file, caption }) = body;
        let pet = parameters.pet_id;
        if cx.store::<PetState>().get(&pet).await?.is_none() {
            return Err(NotFound::new(format!("there is no pet {pet}")).into());
        }
        let media_type = file.media_type.unwrap_or_default();
        if !["image/png", "image/jpeg", "image/webp"].contains(&media_type.as_str()) {
            let problem = Invalid::new("a photo is a PNG, a JPEG or a WebP picture");
            return Err(problem.with_error("/file", "is no picture").into());
        }
        if file.bytes.is_empty() || file.bytes.len() > BYTES_MAX {
            let problem = Invalid::new(format!("a photo has 1 to {BYTES_MAX} bytes"));
            return Err(problem.with_error("/file", "is too long or empty").into());
        }
        let id = Uuid::now_v7();
        let size = file.bytes.len().try_into().unwrap_or(i64::MAX);
        let picture = Picture {
            id,
            pet,
            media_type,
            bytes: Base64(file.bytes.to_vec()),
        };
        let keep = move |entry: &mut Entry<Picture>| {
            entry.insert(picture.clone());
            Ok(())
        };
        cx.store::<Picture>().update(id, keep).await?;
        Ok(UploadPhotoReply::Created(Photo {
            id,
            url: format!("/pets/{pet}/photos/{id}"),
            size,
            caption,
        }))
    }

    async fn get_photo(cx: Cx, parameters: GetPhotoParameters) -> Result<GetPhotoReply> {
        let GetPhotoParameters { pet_id, photo_id } = parameters;
        let picture = cx.store::<Picture>().get(&photo_id).await?;
        let picture = picture.filter(|picture| picture.pet == pet_id);
        let picture = picture.ok_or_else(|| NotFound::new("there is no such photo"))?;
        Ok(GetPhotoReply::Ok {
            body: picture.bytes.0.clone().into(),
            content_type: picture.media_type.clone(),
        })
    }
}

/// Whether each word is in the name, the notes or a tag.
fn has_all(pet: &Pet, words: &[String]) -> bool {
    let texts = [Some(&pet.name), pet.notes.as_ref().and_then(Option::as_ref)];
    let tags = pet.tags.iter().flatten();
    let texts: Vec<String> = texts
        .into_iter()
        .flatten()
        .chain(tags)
        .map(|text| text.to_lowercase())
        .collect();
    words
        .iter()
        .all(|word| texts.iter().any(|text| text.contains(word)))
}
