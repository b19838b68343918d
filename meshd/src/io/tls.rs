//! One TLS identity: the node's Ed25519 identity key.
//!
//! TLS wants certificates; ours are envelopes for a key and nothing more. Names, dates and the
//! certificate's own signature are not looked at: what counts is that the handshake is signed with
//! the key inside, and that the key is the one expected (a client's side) or belongs to a member
//! (the server's side, decided by the caller). TLS 1.3 only, with the hybrid post-quantum key
//! exchange X25519MLKEM768 and no other, by exactly one provider that is named here and never installed
//! for the whole process.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mesh_model::{IdentityKey, IdentitySecret};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use zeroize::Zeroizing;

/// The server name clients send: required by the handshake, meaningless here.
pub(crate) const SERVER_NAME: &str = "mesh";

/// What stands before the 32 key bytes in an Ed25519 SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 32 seed bytes in an Ed25519 PKCS#8 private key (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The identity could not be put into TLS's form: a bug or a broken cryptography library.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate could not be made.
    #[error("cannot make the node's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The handshake cannot be configured.
    #[error("cannot configure TLS: {0}")]
    Config(#[from] rustls::Error),
    /// The provider lacks the cipher suite QUIC's first packets need.
    #[error("cannot configure QUIC: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// Whom a server lets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Anyone, unidentified: joiners, who prove themselves inside.
    Strangers,
    /// Whoever proves an identity; the caller asks [`peer_identity`] whose.
    Identified,
}

/// The node's identity in TLS's form.
pub(crate) struct TlsIdentity {
    certificate: CertificateDer<'static>,
    /// PKCS#8; wiped on drop.
    secret: Zeroizing<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl TlsIdentity {
    /// Wraps `identity`.
    pub(crate) fn new(identity: &IdentitySecret) -> Result<Self, TlsError> {
        let secret = Zeroizing::new([&PKCS8_PREFIX[..], &identity.to_seed()[..]].concat());
        let der = PrivatePkcs8KeyDer::from(&secret[..]);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?;
        let certificate = CertificateParams::new([SERVER_NAME.to_owned()])?.self_signed(&key)?;
        Ok(Self { certificate: certificate.der().clone(), secret, provider: Arc::new(provider()) })
    }

    /// A client that speaks to `expected` and nobody else, and proves its own identity when asked.
    pub(crate) fn client(
        &self,
        expected: IdentityKey,
        alpn: &[u8],
    ) -> Result<QuicClientConfig, TlsError> {
        let verifier = Arc::new(Pinned { expected, provider: Arc::clone(&self.provider) });
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(vec![self.certificate.clone()], self.private_key())?;
        config.alpn_protocols = vec![alpn.to_vec()];
        // A resumed session would not show the peer's key again.
        config.resumption = Resumption::disabled();
        Ok(QuicClientConfig::try_from(config)?)
    }

    /// A server that proves this identity to `clients`, for the protocols in `alpn`.
    pub(crate) fn server(
        &self,
        clients: Clients,
        alpn: &[&[u8]],
    ) -> Result<QuicServerConfig, TlsError> {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match clients {
            Clients::Strangers => builder.with_no_client_auth(),
            Clients::Identified => builder.with_client_cert_verifier(Arc::new(AnyIdentity {
                provider: Arc::clone(&self.provider),
            })),
        };
        let mut config =
            builder.with_single_cert(vec![self.certificate.clone()], self.private_key())?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(QuicServerConfig::try_from(config)?)
    }

    /// A key of its own for QUIC's stateless resets, the same in every run.
    pub(crate) fn reset_key(&self) -> [u8; 32] {
        blake3::derive_key("meshd v1 quic stateless reset", &self.secret)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.secret.to_vec()).into()
    }
}

/// The cryptography of every connection. With one key exchange for all, what was derived from a connection needs no
/// second look at how it was made.
fn provider() -> CryptoProvider {
    let kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

/// The identity the other end of `connection` proved, if it was asked to.
pub(crate) fn peer_identity(connection: &quinn::Connection) -> Option<IdentityKey> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    identity_in(chain.first()?).ok()
}

/// The Ed25519 key inside `certificate`.
fn identity_in(certificate: &CertificateDer<'_>) -> Result<IdentityKey, Error> {
    let info = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    info.strip_prefix(&SPKI_PREFIX)
        .and_then(|key| key.try_into().ok())
        .map(IdentityKey)
        .ok_or_else(|| PeerIncompatible::NoSignatureSchemesInCommon.into())
}

fn verify_handshake(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let known = &provider.signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signature, known)
}

/// Accepts one key.
#[derive(Debug)]
struct Pinned {
    expected: IdentityKey,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if identity_in(end_entity)? == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Accepts any Ed25519 key whose holder signs the handshake.
#[derive(Debug)]
struct AnyIdentity {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyIdentity {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        identity_in(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_handshake(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
