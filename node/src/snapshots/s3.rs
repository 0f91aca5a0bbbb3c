//! Snapshots in a bucket of what speaks S3, by `object_store` over TLS of our own.

use futures_util::{FutureExt as _, StreamExt as _};
use object_store::{
    Error, ObjectStoreExt as _, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm},
    path::Path,
};
use ocmt_actors::{Pieces, SnapshotStore, SnapshotStoreError, StoreCall};
use ocmt_types::{Secret, SnapshotId, TenantId};
use rustls::ClientConfig;

use super::{http::Http, name};
use crate::config;

/// Bytes of a part; S3 takes ten thousand of them, of 5 MiB at the least.
const PART: usize = 16 << 20;
/// Parts on their way at once: with what waits, the memory of one upload.
const PARTS_AHEAD: usize = 2;

/// One bucket. Not to be printed: it holds the secret of this node's key.
pub(super) struct S3 {
    bucket: AmazonS3,
    prefix: String,
}

impl S3 {
    pub(super) fn open(
        it: &config::Snapshots,
        (bucket, prefix): (String, String),
        secret: Option<Secret<String>>,
        tls: ClientConfig,
        in_clear: bool,
    ) -> Result<Self, String> {
        let secret = secret.ok_or_else(|| "snapshots.s3_secret_key_file: is needed for s3".to_owned())?;
        let bucket = AmazonS3Builder::new()
            .with_endpoint(&it.s3_endpoint)
            .with_region(&it.s3_region)
            .with_bucket_name(bucket)
            .with_access_key_id(&it.s3_access_key_id)
            .with_secret_access_key(secret.expose())
            .with_allow_http(in_clear)
            .with_http_connector(Http::new(tls))
            .with_crypto_provider(std::sync::Arc::new(Digests))
            .build()
            .map_err(|error| format!("snapshots.store: {error}"))?;
        Ok(Self { bucket, prefix })
    }

    fn path(&self, tenant: TenantId, snapshot: SnapshotId) -> Path {
        Path::from(format!("{}/{}", self.prefix, name(tenant, snapshot).display()))
    }

    async fn write_all(&self, path: Path, mut pieces: Pieces) -> Result<(), SnapshotStoreError> {
        let upload = self.bucket.put_multipart(&path).await.map_err(|error| said(&error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        while let Some(piece) = pieces.next().await {
            let ready = match piece {
                Ok(piece) => {
                    upload.put(piece);
                    upload.wait_for_capacity(PARTS_AHEAD).await.map_err(|error| said(&error))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = ready {
                // a bucket's own rule ends what this leaves if it does not go through
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await.map(drop).map_err(|error| said(&error))
    }
}

impl SnapshotStore for S3 {
    fn write(&self, tenant: TenantId, snapshot: SnapshotId, pieces: Pieces) -> StoreCall<'_, ()> {
        self.write_all(self.path(tenant, snapshot), pieces).boxed()
    }

    fn read(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, Pieces> {
        let path = self.path(tenant, snapshot);
        async move {
            let found = self.bucket.get(&path).await.map_err(|error| said(&error))?;
            Ok(found.into_stream().map(|piece| piece.map_err(|error| said(&error))).boxed())
        }
        .boxed()
    }

    fn delete(&self, tenant: TenantId, snapshot: SnapshotId) -> StoreCall<'_, ()> {
        let path = self.path(tenant, snapshot);
        async move {
            match self.bucket.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(said(&error)),
            }
        }
        .boxed()
    }
}

/// What went wrong, for whoever asked; an operator finds the rest in the log, which has no secret either.
fn said(error: &Error) -> SnapshotStoreError {
    let what = match error {
        Error::NotFound { .. } => "has no such object",
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "does not let this node in",
        _ => "does not answer as it should",
    };
    tracing::warn!(%error, "the object store of snapshots failed");
    SnapshotStoreError(what.to_owned())
}

/// SHA-256 and HMAC for the signatures of requests. RSA is of other clouds.
#[derive(Debug)]
struct Digests;

impl CryptoProvider for Digests {
    fn digest(&self, _: DigestAlgorithm) -> object_store::Result<Box<dyn DigestContext>> {
        Ok(Box::new(Sha(sha2::Digest::new(), [0; 32])))
    }

    fn hmac(&self, _: DigestAlgorithm, secret: &[u8]) -> object_store::Result<Box<dyn HmacContext>> {
        let unfit = |error| Error::Generic { store: "S3", source: Box::new(error) };
        let mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(secret).map_err(unfit)?;
        Ok(Box::new(Mac(mac, [0; 32])))
    }

    fn sign(&self, _: SigningAlgorithm, _: &[u8]) -> object_store::Result<Box<dyn Signer>> {
        Err(Error::NotSupported { source: "S3 signs with HMAC alone".into() })
    }
}

struct Sha(sha2::Sha256, [u8; 32]);

impl DigestContext for Sha {
    fn update(&mut self, data: &[u8]) {
        sha2::Digest::update(&mut self.0, data);
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        self.1 = sha2::Digest::finalize_reset(&mut self.0).into();
        Ok(&self.1)
    }
}

struct Mac(hmac::Hmac<sha2::Sha256>, [u8; 32]);

impl HmacContext for Mac {
    fn update(&mut self, data: &[u8]) {
        hmac::Mac::update(&mut self.0, data);
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        self.1 = hmac::Mac::finalize(self.0.clone()).into_bytes().into();
        Ok(&self.1)
    }
}

#[cfg(test)]
mod tests;
