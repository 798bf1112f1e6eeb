#include "peer/scrapbook/page.h"

#include <algorithm>
#include <charconv>

namespace mutua::peer {
namespace {

constexpr const char* kCreated = "org.opencontainers.image.created";
constexpr const char* kEngine = "vnd.mutua.engine";
constexpr const char* kMemory = "vnd.mutua.memory.mib";
constexpr const char* kAddress = "vnd.mutua.address";
constexpr const char* kPorts = "vnd.mutua.ports";
constexpr const char* kOutbound = "vnd.mutua.outbound";
constexpr const char* kAgent = "vnd.mutua.agent";
constexpr const char* kMachine = "vnd.mutua.machine";
constexpr const char* kParent = "vnd.mutua.parent.name";
constexpr const char* kGeneration = "vnd.mutua.generation";
constexpr const char* kFrozen = "vnd.mutua.frozen.us";

std::string print_ports(const std::vector<ServicePort>& ports) {
  std::string text;
  for (const ServicePort& port : ports) text += (text.empty() ? "" : ",") + port.to_text();
  return text;
}

Result<std::vector<ServicePort>> parse_ports(std::string_view text) {
  std::vector<ServicePort> ports;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    ports.push_back(TRY(ServicePort::parse(one)));
  }
  return ports;
}

Result<std::string> text_of(const Manifest& manifest, const char* key) {
  const auto found = manifest.annotations.find(key);
  if (found == manifest.annotations.end()) return Error(std::string("no annotation ") + key);
  return found->second;
}

Result<std::uint64_t> number_of(const Manifest& manifest, const char* key) {
  const std::string text = TRY(text_of(manifest, key));
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size()) {
    return Error(std::string("annotation ") + key + " is no number: " + text);
  }
  return number;
}

}  // namespace

Result<void> check_page_name(const std::string& name) {
  const bool characters = std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (name.empty() || name.size() > kLongestPageName || !characters || name.front() == '-' ||
      name.back() == '-') {
    return Error("'" + name + "' is no name: a-z, 0-9 and '-' within, 1 to 48 characters");
  }
  return {};
}

Bytes print_page(const Page& page) {
  Manifest manifest;
  manifest.artifact_type = media_type::snapshot;
  manifest.config = {std::string(media_type::empty), trust::sha256(as_bytes("{}")), 2, {}};
  manifest.layers = page.layers.descriptors();
  manifest.annotations = {{kCreated, page.created},
                          {kEngine, page.engine},
                          {kMemory, std::to_string(page.memory_mib)},
                          {kAddress, page.address},
                          {kPorts, print_ports(page.ports)},
                          {kOutbound, page.outbound ? "yes" : "no"},
                          {kAgent, page.agent},
                          {kMachine, page.machine},
                          {kParent, page.parent},
                          {kGeneration, std::to_string(page.generation)},
                          {kFrozen, std::to_string(page.frozen.count())}};
  return print_manifest(manifest);
}

Result<Page> parse_page(const std::string& name, BytesView json) {
  const Manifest manifest = TRY(parse_manifest(json));
  Page page;
  page.name = name;
  page.layers = TRY(read_snapshot_layers(manifest));
  page.created = TRY(text_of(manifest, kCreated));
  page.engine = TRY(text_of(manifest, kEngine));
  page.memory_mib = static_cast<unsigned>(TRY(number_of(manifest, kMemory)));
  page.address = TRY(text_of(manifest, kAddress));
  const std::string ports = TRY(text_of(manifest, kPorts));
  page.ports = TRY(parse_ports(ports));
  const std::string outbound = TRY(text_of(manifest, kOutbound));
  page.outbound = outbound == "yes";
  page.agent = TRY(text_of(manifest, kAgent));
  page.machine = TRY(text_of(manifest, kMachine));
  page.parent = TRY(text_of(manifest, kParent));
  page.generation = TRY(number_of(manifest, kGeneration));
  page.frozen = std::chrono::microseconds(TRY(number_of(manifest, kFrozen)));
  return page;
}

}  // namespace mutua::peer
