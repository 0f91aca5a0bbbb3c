//! What our formats cost over the bare crates, in one run: `cargo bench -p ocmt-crypto`.
//!
//! Both sides seal the same bytes with the same associated data under a key whose cipher is set up anew or
//! at hand, as the name says, with a nonce drawn from the same generator. docs/testing.md has the ratios.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ocmt_crypto::{
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    envelope,
    kdf::{Cost, Stretch},
    kind::Kind,
    object::{VaultObject, open_body},
    seal::{self, SealSecretKey},
};
use ocmt_types::{Digest32, Id as _, TenantId, VaultId};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

const KEY: [u8; 32] = [7; 32];
const SIZES: [usize; 3] = [64, 1024, 64 * 1024];
/// Header and nonce of an envelope, which are part of what is authenticated.
const HEAD: usize = 24;

fn place() -> ObjectPlace {
    let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) };
    ObjectPlace { scope, object: Digest32([3; 32]), version: 1 }
}

fn symmetric(criterion: &mut Criterion) {
    let rng = &mut StdRng::seed_from_u64(1);
    let (place, vk) = (place(), VaultKey::from_bytes(KEY, 1));
    let context = place.context();
    let aad = vec![0; HEAD + context.len()];
    let bare = Aes256Gcm::new(&KEY.into());
    let cipher = envelope::Cipher::new(Kind::OBJECT_BODY, 1, &KEY);

    let mut group = criterion.benchmark_group("seal");
    for size in SIZES {
        let msg = vec![9_u8; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("bare, cipher at hand", size), |bencher| {
            bencher.iter(|| {
                let mut nonce = [0; 12];
                rng.fill_bytes(&mut nonce);
                bare.encrypt(&nonce.into(), Payload { msg: black_box(&msg), aad: &aad }).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("ours, cipher at hand", size), |bencher| {
            bencher.iter(|| cipher.seal(&context, black_box(&msg), rng).unwrap());
        });
        group.bench_function(BenchmarkId::new("bare, new cipher", size), |bencher| {
            bencher.iter(|| {
                let mut nonce = [0; 12];
                rng.fill_bytes(&mut nonce);
                Aes256Gcm::new(black_box(&KEY).into())
                    .encrypt(&nonce.into(), Payload { msg: black_box(&msg), aad: &aad })
                    .unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("ours, whole entry with its data key", size), |bencher| {
            bencher.iter(|| VaultObject::seal(&place, &vk, black_box(&msg), rng).unwrap());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("open");
    for size in SIZES {
        let msg = vec![9_u8; size];
        let object = VaultObject::seal(&place, &vk, &msg, rng).unwrap();
        let sealed = cipher.seal(&context, &msg, rng).unwrap();
        let nonce = [5; 12];
        let ciphertext = bare.encrypt(&nonce.into(), Payload { msg: &msg, aad: &aad }).unwrap();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("bare, cipher at hand", size), |bencher| {
            bencher.iter(|| {
                bare.decrypt(&nonce.into(), Payload { msg: black_box(&ciphertext), aad: &aad }).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("ours, cipher at hand", size), |bencher| {
            bencher.iter(|| cipher.open(&context, black_box(&sealed)).unwrap());
        });
        group.bench_function(BenchmarkId::new("ours, whole entry with its data key", size), |bencher| {
            bencher.iter(|| {
                let key = DataKey::unwrap_from(&vk, &place, black_box(&object.wrapped_key)).unwrap();
                open_body(&key, &place, black_box(&object.body)).unwrap()
            });
        });
    }
    group.finish();
}

fn stretching(criterion: &mut Criterion) {
    use argon2::{Algorithm, Argon2, Params, Version};
    let mut group = criterion.benchmark_group("argon2id, 64 MiB, 3 passes, 4 lanes");
    group.sample_size(10);
    let (memory, passes, lanes) = Cost::DEFAULT.parts();
    let bare = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(memory, passes, lanes, Some(32)).unwrap(),
    );
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            let mut key = [0_u8; 32];
            bare.hash_password_into(black_box(b"passphrase"), &[1; 16], &mut key).unwrap();
            key
        });
    });
    let stretch = Stretch::new(Cost::DEFAULT, &[1; 16]).unwrap();
    group
        .bench_function("ours", |bencher| bencher.iter(|| stretch.derive(black_box(b"passphrase")).unwrap()));
    group.finish();
}

fn sealing_to_a_key(criterion: &mut Criterion) {
    use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::AesGcm256, kdf::HkdfSha256};
    type Kem = hpke::kem::X25519HkdfSha256;
    let rng = &mut StdRng::seed_from_u64(2);
    let secret = SealSecretKey::generate(rng);
    let public = secret.public();
    let bare_public = <Kem as hpke::Kem>::PublicKey::from_bytes(public.as_bytes()).unwrap();
    let bare_secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(secret.expose()).unwrap();
    let msg = [9_u8; 64];
    let mut group = criterion.benchmark_group("hpke, 64 bytes");
    group.bench_function("bare seal", |bencher| {
        bencher.iter(|| {
            let (enc, sealed) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(
                &OpModeS::Base,
                &bare_public,
                b"info",
                black_box(&msg),
                b"aad",
                rng,
            )
            .unwrap();
            (enc.to_bytes(), sealed)
        });
    });
    group.bench_function("ours seal", |bencher| {
        bencher.iter(|| seal::seal(&public, b"info", b"aad", black_box(&msg), rng).unwrap());
    });
    let sealed = seal::seal(&public, b"info", b"aad", &msg, rng).unwrap();
    let (enc, bare_sealed) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Kem>(
        &OpModeS::Base,
        &bare_public,
        b"info",
        &msg,
        b"aad",
        rng,
    )
    .unwrap();
    group.bench_function("bare open", |bencher| {
        bencher.iter(|| {
            hpke::single_shot_open::<AesGcm256, HkdfSha256, Kem>(
                &OpModeR::Base,
                &bare_secret,
                &enc,
                b"info",
                black_box(&bare_sealed),
                b"aad",
            )
            .unwrap()
        });
    });
    group.bench_function("ours open", |bencher| {
        bencher.iter(|| seal::open(&secret, b"info", b"aad", black_box(&sealed)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, symmetric, stretching, sealing_to_a_key);
criterion_main!(benches);
