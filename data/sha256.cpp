#include "data/sha256.h"

#include "core/error.h"

#include <openssl/evp.h>

namespace gradus::data {

std::string sha256(std::span<const std::uint8_t> bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const bool done = EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1;
  GRADUS_CHECK(done, "sha256: the OpenSSL library refused; its configuration may forbid SHA-256");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

}  // namespace gradus::data
