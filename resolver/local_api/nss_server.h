#pragma once

#include <filesystem>
#include <memory>
#include <unordered_map>

#include "base/result.h"
#include "base/unique_fd.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/local_api/name_table.h"
#include "resolver/service/names.h"

struct mutua_local_request;
struct mutua_local_response;

namespace mutua::resolver {

// Answers libnss_mutua.so.2 on a UNIX stream socket that everybody on the machine may use
// (lib/local_protocol), and hands out the table of names that spares most questions. At most 1024
// connections, more wait in the backlog; one request at a time on each; a connection without a
// request for 10 s is closed, as is one that speaks nonsense. Lives on the loop's thread.
class NssServer final : public EventLoop::Handler {
 public:
  // Replaces a socket that nobody serves; fails where another daemon answers at `path`.
  static Result<std::unique_ptr<NssServer>> create(const std::filesystem::path& path,
                                                   EventLoop& loop, Names& names,
                                                   const NameTable& table);
  ~NssServer();

  void on_ready(std::uint32_t events) override;

 private:
  class Connection;
  NssServer(std::filesystem::path path, UniqueFd socket, EventLoop& loop, Names& names,
            const NameTable& table);
  void forget(Connection& connection);
  void pause();

  const std::filesystem::path path_;
  const UniqueFd socket_;
  EventLoop& loop_;
  Names& names_;
  const NameTable& table_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  EventLoop::TimerKey pause_{};
};

// Whether every field of a request is within its bounds. PURE.
bool is_sane(const mutua_local_request& request);

}  // namespace mutua::resolver
