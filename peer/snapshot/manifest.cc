#include "peer/snapshot/manifest.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iterator>

#include "peer/snapshot/json_fields.h"

namespace mutua::peer {
namespace {

using boost::json::array;
using boost::json::object;

constexpr std::size_t kMostReferrers = 64;

Result<Descriptor> parse_descriptor(const object& fields) {
  Descriptor descriptor;
  descriptor.media_type = TRY(text_field(fields, "mediaType"));
  const std::string digest = TRY(text_field(fields, "digest"));
  descriptor.digest = TRY(trust::Digest::parse(digest));
  descriptor.size_bytes = TRY(number_field(fields, "size", kLargestBlobBytes));
  descriptor.annotations = TRY(annotations_field(fields));
  return descriptor;
}

object print_annotations(const std::map<std::string, std::string>& annotations) {
  object fields;
  for (const auto& [key, value] : annotations) fields[key] = value;
  return fields;
}

object print_descriptor(const Descriptor& descriptor) {
  object fields{{"mediaType", descriptor.media_type},
                {"digest", descriptor.digest.to_text()},
                {"size", descriptor.size_bytes}};
  if (!descriptor.annotations.empty()) {
    fields["annotations"] = print_annotations(descriptor.annotations);
  }
  return fields;
}

Result<void> expect_kind(const object& fields, std::string_view media_type) {
  if (TRY(number_field(fields, "schemaVersion", 100)) != 2) return Error("schemaVersion is not 2");
  if (const std::string found = TRY(text_field(fields, "mediaType")); found != media_type) {
    return Error("mediaType is " + found + ", not " + std::string(media_type));
  }
  return {};
}

}  // namespace

Result<Descriptor> Manifest::only_layer(std::string_view wanted) const {
  const Descriptor* found = nullptr;
  for (const Descriptor& layer : layers) {
    if (layer.media_type != wanted) continue;
    if (found) return Error("the manifest has two layers of type " + std::string(wanted));
    found = &layer;
  }
  if (!found) return Error("the manifest has no layer of type " + std::string(wanted));
  return *found;
}

std::vector<Descriptor> Manifest::layers_of(std::string_view media_type) const {
  std::vector<Descriptor> found;
  std::ranges::copy_if(layers, std::back_inserter(found),
                       [&](const Descriptor& layer) { return layer.media_type == media_type; });
  return found;
}

Result<Manifest> parse_manifest(BytesView json) {
  const object fields = TRY(parse_json_object(json, kLargestManifestBytes));
  TRY(expect_kind(fields, media_type::image_manifest));
  Manifest manifest;
  manifest.artifact_type = TRY(text_field(fields, "artifactType"));
  const object config = TRY(object_field(fields, "config"));
  manifest.config = TRY(parse_descriptor(config));
  const array layers = TRY(array_field(fields, "layers", kMostLayers));
  for (const auto& layer : layers) {
    if (!layer.is_object()) return Error("field layers: expected objects");
    manifest.layers.push_back(TRY(parse_descriptor(layer.get_object())));
  }
  if (fields.contains("subject")) {
    const object subject = TRY(object_field(fields, "subject"));
    manifest.subject = TRY(parse_descriptor(subject));
  }
  manifest.annotations = TRY(annotations_field(fields));
  return manifest;
}

Bytes print_manifest(const Manifest& manifest) {
  array layers;
  for (const Descriptor& layer : manifest.layers) layers.push_back(print_descriptor(layer));
  object fields{{"schemaVersion", 2},
                {"mediaType", media_type::image_manifest},
                {"artifactType", manifest.artifact_type},
                {"config", print_descriptor(manifest.config)},
                {"layers", std::move(layers)}};
  if (manifest.subject) fields["subject"] = print_descriptor(*manifest.subject);
  if (!manifest.annotations.empty())
    fields["annotations"] = print_annotations(manifest.annotations);
  return to_bytes(std::string_view(boost::json::serialize(fields)));
}

Bytes print_referrers(const std::vector<Referrer>& referrers) {
  array manifests;
  for (const Referrer& referrer : referrers) {
    object fields = print_descriptor(referrer.manifest);
    fields["artifactType"] = referrer.artifact_type;
    manifests.push_back(std::move(fields));
  }
  return to_bytes(
      std::string_view(boost::json::serialize(object{{"schemaVersion", 2},
                                                     {"mediaType", media_type::image_index},
                                                     {"manifests", std::move(manifests)}})));
}

Result<std::vector<Referrer>> parse_referrers(BytesView json) {
  const object fields = TRY(parse_json_object(json, kLargestManifestBytes));
  TRY(expect_kind(fields, media_type::image_index));
  std::vector<Referrer> referrers;
  const array manifests = TRY(array_field(fields, "manifests", kMostReferrers));
  for (const auto& value : manifests) {
    if (!value.is_object()) return Error("field manifests: expected objects");
    Referrer referrer;
    referrer.manifest = TRY(parse_descriptor(value.get_object()));
    if (value.get_object().contains("artifactType")) {
      referrer.artifact_type = TRY(text_field(value.get_object(), "artifactType"));
    }
    referrers.push_back(std::move(referrer));
  }
  return referrers;
}

}  // namespace mutua::peer
