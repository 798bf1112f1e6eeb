#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "peer/snapshot/manifest.h"
#include "trust/digest.h"

namespace mutua::peer {

// What one service lets strangers read. Immutable once offered.
struct Offer {
  trust::Digest manifest;             // "latest"
  std::set<trust::Digest> manifests;  // the snapshot's and its signatures'
  std::set<trust::Digest> blobs;
  std::vector<Referrer> signatures;  // referrers of `manifest`
};

// The offered services by name (lower case, no final dot). Thread-safe.
class Offers {
 public:
  void set(const std::string& service, Offer offer);
  void remove(const std::string& service);
  // Null where the service is not offered.
  std::shared_ptr<const Offer> find(const std::string& service) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Offer>> offers_;
};

}  // namespace mutua::peer
