#include "peer/exchange/fetch.h"

#include "base/log.h"
#include "peer/exchange/http_client.h"
#include "peer/snapshot/ssh_signature.h"

namespace mutua::peer {
namespace {

constexpr std::size_t kMostSignatures = 8;
// A source slower than this is no source: the total deadline of a blob follows from it.
constexpr std::uint64_t kSlowestBytesPerSecond = 32 * 1024;
constexpr std::chrono::seconds kLeastBlobTimeout{30};

std::string short_name(std::string_view media) {
  if (media == media_type::kernel) return "kernel";
  if (media == media_type::base_disk) return "base disk";
  if (media == media_type::disk_delta) return "disk delta";
  if (media == media_type::snapshot_config) return "config";
  return std::string(media);
}

std::chrono::milliseconds timeout_of(const Descriptor& blob) {
  return kLeastBlobTimeout + std::chrono::seconds(blob.size_bytes / kSlowestBytesPerSecond);
}

}  // namespace

Fetcher::Fetcher(const BlobStore& store, std::string service, std::vector<Source> sources,
                 std::function<void(const FetchProgress&)> on_progress, std::stop_token stop)
    : store_(store),
      service_(std::move(service)),
      sources_(std::move(sources)),
      on_progress_(std::move(on_progress)),
      stop_(std::move(stop)) {}

template <typename Attempt>
auto Fetcher::from_any(const std::string& object, Attempt attempt) -> decltype(attempt(Source())) {
  std::string problems;
  for (std::size_t tried = 0; tried < sources_.size(); ++tried) {
    const std::size_t index = (next_ + tried) % sources_.size();
    const Source& source = sources_[index];
    auto result = attempt(source);
    if (result.ok()) {
      next_ = index;
      return result;
    }
    if (stop_.stop_requested()) return Error("fetch " + object + ": stopped");
    log::warning("fetch.source_failed", {{"service", service_},
                                         {"object", object},
                                         {"source", source.to_text()},
                                         {"reason", result.error().message()}});
    problems += (problems.empty() ? "" : "; ") + source.to_text() + ": " + result.error().message();
  }
  if (sources_.empty()) problems = "no peer offers it";
  return Error("fetch " + object + " of " + service_ + ": " + problems);
}

Result<Bytes> Fetcher::get(const Source& source, const std::string& path,
                           std::uint64_t limit_bytes) {
  HttpRequest request;
  request.address = source.address;
  request.host = source.address.to_text();
  request.target = "/v2/" + service_ + path;
  HttpResponse response = TRY(http_get(request, limit_bytes, stop_));
  if (response.head.status != 200) {
    return errorf("GET %s: status %u", request.target.c_str(), response.head.status);
  }
  return std::move(response.body);
}

Result<Fetcher::Signed> Fetcher::fetch_manifest(const trust::Digest& digest,
                                                const trust::PublicKey& owner,
                                                std::uint64_t limit_bytes) {
  return from_any("manifest", [&](const Source& source) {
    if (on_progress_) on_progress_({"manifest", source.to_text(), 0, 0});
    return fetch_manifest_from(source, digest, owner, limit_bytes);
  });
}

Result<Fetcher::Signed> Fetcher::fetch_manifest_from(const Source& source,
                                                     const trust::Digest& digest,
                                                     const trust::PublicKey& owner,
                                                     std::uint64_t limit_bytes) {
  const Bytes raw = TRY(get(source, "/manifests/" + digest.to_text(), kLargestManifestBytes));
  // Checked here as well as in verify(): nothing else is asked of a source that lies.
  if (trust::sha256(raw) != digest) return Error("the manifest has another digest");
  const Bytes index = TRY(get(source, "/referrers/" + digest.to_text(), kLargestManifestBytes));
  std::vector<Referrer> referrers = TRY(parse_referrers(index));
  if (referrers.size() > kMostSignatures) referrers.resize(kMostSignatures);
  Error problem("no signature is offered");
  for (const Referrer& referrer : referrers) {
    if (referrer.artifact_type != media_type::signature) continue;
    const auto path = "/manifests/" + referrer.manifest.digest.to_text();
    const Bytes signature_raw = TRY(get(source, path, kLargestManifestBytes));
    if (trust::sha256(signature_raw) != referrer.manifest.digest) {
      return Error("the signature's manifest has another digest");
    }
    const Manifest signature = TRY(parse_manifest(signature_raw));
    const Descriptor layer = TRY(signature.only_layer(media_type::ssh_signature));
    const Bytes armored =
        TRY(get(source, "/blobs/" + layer.digest.to_text(), kLargestSshSignatureBytes));
    auto verified = verify(raw, digest, as_text(armored), owner, limit_bytes);
    if (!verified.ok()) {
      problem = verified.error();
      continue;
    }
    // Made anew rather than taken over: what we offer on holds nothing that we did not check.
    const Descriptor subject{std::string(media_type::image_manifest), digest, raw.size(), {}};
    const Bytes own = print_manifest(signature_manifest(subject, armored));
    TRY(store_.put(as_bytes("{}")));
    TRY(store_.put(raw));
    Signed result{std::move(*verified), {}, TRY(store_.put(armored))};
    result.signature = {
        {std::string(media_type::image_manifest), TRY(store_.put(own)), own.size(), {}},
        std::string(media_type::signature)};
    return result;
  }
  return problem;
}

Result<void> Fetcher::fetch_blob(const Descriptor& blob) {
  // Another service on the same base may be fetching it this very moment.
  auto begun = TRY(store_.begin_unless_held(blob.digest, blob.size_bytes, timeout_of(blob), stop_));
  if (!begun) return {};
  BlobWriter& writer = *begun;
  return from_any(short_name(blob.media_type), [&](const Source& source) {
    const bool resumed = writer.offset() > 0;
    auto fetched = fetch_blob_from(source, blob, writer);
    // The wrong bytes may have been those of before, which finish() threw away.
    const bool emptied = resumed && writer.offset() == 0;
    if (fetched.ok() || !emptied || stop_.stop_requested()) return fetched;
    return fetch_blob_from(source, blob, writer);
  });
}

Result<void> Fetcher::fetch_blob_from(const Source& source, const Descriptor& blob,
                                      BlobWriter& writer) {
  HttpRequest request;
  request.address = source.address;
  request.host = source.address.to_text();
  request.target = "/v2/" + service_ + "/blobs/" + blob.digest.to_text();
  request.first_byte = writer.offset();
  request.total_timeout = timeout_of(blob);
  const std::string object = short_name(blob.media_type);
  bool begun = false;
  const HttpSink sink = [&](const HttpHead& head, BytesView piece) -> Result<void> {
    if (!begun) {
      begun = true;
      if (head.status == 200 && writer.offset() > 0) {
        TRY(writer.restart());  // the source knows no ranges
      } else if (head.status == 206 && head.range_start != writer.offset()) {
        return Error("the source sent another range than was asked");
      } else if (head.status != 200 && head.status != 206) {
        return errorf("status %u", head.status);
      }
    }
    TRY(writer.write(piece));
    if (on_progress_) on_progress_({object, source.to_text(), writer.offset(), blob.size_bytes});
    return {};
  };
  if (writer.offset() < blob.size_bytes) {
    const HttpHead head = TRY(http_get(request, blob.size_bytes, sink, stop_));
    if (head.status != 200 && head.status != 206) return errorf("status %u", head.status);
  }
  return writer.finish();
}

}  // namespace mutua::peer
