#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "peer/exchange/offers.h"
#include "peer/layers/blob_store.h"

namespace mutua::peer {

// The pull side of the OCI distribution protocol over HTTP/1.1:
//
//   GET|HEAD /v2/                                    200
//   GET|HEAD /v2/<service>/manifests/<digest|latest> the manifest's bytes
//   GET|HEAD /v2/<service>/blobs/<digest>            the blob; one Range gives 206
//   GET|HEAD /v2/<service>/referrers/<digest>        an index of the signatures
//
// Only what `offers` names is readable; anything else is 404, another method 405. At most 128
// connections, 16 from one address; requests of at most 8 KiB without a body; 10 s for a request
// to come, 30 s without progress for an answer to go. Runs on a thread of its own from creation to
// destruction. `store` and `offers` must outlive it.
class ExchangeServer {
 public:
  // Listens at every address. The port is the same everywhere; port 0 takes a free one.
  static Result<std::unique_ptr<ExchangeServer>> create(std::vector<SocketAddress> addresses,
                                                        const BlobStore& store,
                                                        const Offers& offers);
  virtual ~ExchangeServer() = default;
  virtual std::uint16_t port() const = 0;
};

}  // namespace mutua::peer
