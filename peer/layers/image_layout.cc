#include "peer/layers/image_layout.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/durable_file.h"

namespace mutua::peer {

Result<void> write_index(const BlobStore& store, const std::vector<LayoutEntry>& entries) {
  boost::json::array manifests;
  for (const LayoutEntry& entry : entries) {
    manifests.push_back(boost::json::object{
        {"mediaType", entry.media_type},
        {"digest", entry.manifest.to_text()},
        {"size", entry.size_bytes},
        {"annotations", {{"org.opencontainers.image.ref.name", entry.service}}}});
  }
  const std::string text = boost::json::serialize(
      boost::json::object{{"schemaVersion", 2},
                          {"mediaType", "application/vnd.oci.image.index.v1+json"},
                          {"manifests", std::move(manifests)}});
  return write_file_durably(store.root() / "index.json", as_bytes(text));
}

}  // namespace mutua::peer
