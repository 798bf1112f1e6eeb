#include "peer/layers/blob_store.h"

#include <gmock/gmock.h>

#include <memory>
#include <thread>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;

class Layers : public ::testing::Test {
 protected:
  Layers() : store_(BlobStore::open(folder_.path()).value()) {}

  test::TemporaryFolder folder_;
  BlobStore store_;
  const Bytes content_ = Bytes(300'000, 7);
  const trust::Digest digest_ = trust::sha256(content_);
};

TEST_F(Layers, WhatWasPutComesBack) {
  EXPECT_EQ(store_.put(content_).value(), digest_);
  EXPECT_TRUE(store_.has(digest_));
  EXPECT_EQ(store_.size(digest_).value(), content_.size());
  EXPECT_EQ(store_.read(digest_, content_.size()).value(), content_);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "blobs" / "sha256" / digest_.hex()));
  EXPECT_EQ(as_text(read_file(folder_ / "oci-layout", 100).value()),
            R"({"imageLayoutVersion":"1.0.0"})");
}

TEST_F(Layers, ALargerBlobThanTheLimitIsNotRead) {
  store_.put(content_).value();
  EXPECT_FALSE(store_.read(digest_, content_.size() - 1).ok());
}

TEST_F(Layers, ABlobThatRottedOnTheDiskIsNoticed) {
  store_.put(content_).value();
  Bytes rotten = content_;
  rotten[100] ^= 1;
  write_file_durably(store_.path_of(digest_), rotten).value();
  EXPECT_THAT(store_.read(digest_, content_.size()).error().message(), HasSubstr("changed"));
}

TEST_F(Layers, AnInterruptedWriteIsResumed) {
  {
    BlobWriter writer = store_.begin(digest_, content_.size()).value();
    writer.write(BytesView(content_).first(1000)).value();
  }  // as after a crash: the partial file stays, the blob is not there
  EXPECT_FALSE(store_.has(digest_));
  BlobWriter writer = store_.begin(digest_, content_.size()).value();
  EXPECT_EQ(writer.offset(), 1000U);
  writer.write(BytesView(content_).subspan(1000)).value();
  writer.finish().value();
  EXPECT_TRUE(store_.has(digest_));
}

TEST_F(Layers, WrongBytesNeverGetTheBlobsName) {
  Bytes wrong = content_;
  wrong[5] ^= 1;
  BlobWriter writer = store_.begin(digest_, content_.size()).value();
  writer.write(wrong).value();
  EXPECT_THAT(writer.finish().error().message(), HasSubstr("another digest"));
  EXPECT_FALSE(store_.has(digest_));
  EXPECT_EQ(writer.offset(), 0U);
  writer.write(content_).value();
  EXPECT_TRUE(writer.finish().ok());
}

TEST_F(Layers, NoMoreThanTheSizeIsWritten) {
  BlobWriter writer = store_.begin(digest_, content_.size()).value();
  writer.write(content_).value();
  EXPECT_FALSE(writer.write(Bytes{1}).ok());
  EXPECT_EQ(writer.offset(), content_.size());
}

TEST_F(Layers, AShortBlobIsNotFinished) {
  BlobWriter writer = store_.begin(digest_, content_.size()).value();
  writer.write(BytesView(content_).first(10)).value();
  EXPECT_FALSE(writer.finish().ok());
  EXPECT_EQ(writer.offset(), 10U);
}

TEST_F(Layers, APartialFileThatIsTooLongIsThrownAway) {
  write_file_durably(folder_.path() / "blobs" / "partial" / digest_.hex(),
                     Bytes(content_.size() + 1, 0))
      .value();
  EXPECT_EQ(store_.begin(digest_, content_.size()).value().offset(), 0U);
}

TEST_F(Layers, ABlobHasOneWriterAtATime) {
  BlobWriter first = store_.begin(digest_, content_.size()).value();
  EXPECT_FALSE(store_.begin(digest_, content_.size()).ok());
}

TEST_F(Layers, ASecondWriterWaitsForTheFirstAndFindsTheBlob) {
  auto first = std::make_unique<BlobWriter>(store_.begin(digest_, content_.size()).value());
  std::thread second([&] {
    const auto begun = store_.begin_unless_held(digest_, content_.size(), std::chrono::seconds(30));
    EXPECT_FALSE(begun.value().has_value());
  });
  first->write(content_).value();
  first->finish().value();
  first.reset();
  second.join();
  EXPECT_EQ(store_.read(digest_, content_.size()).value(), content_);
}

TEST_F(Layers, OnlyUnreferencedBlobsAreRemoved) {
  store_.put(content_).value();
  const trust::Digest other = store_.put(Bytes{1, 2, 3}).value();
  { BlobWriter resumable = store_.begin(trust::sha256(Bytes{9}), 1).value(); }
  EXPECT_EQ(store_.remove_unreferenced({digest_}).value(), 1U);
  EXPECT_TRUE(store_.has(digest_));
  EXPECT_FALSE(store_.has(other));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "blobs" / "partial" /
                                      trust::sha256(Bytes{9}).hex()));
}

TEST_F(Layers, AFileIsCopiedWithinItsLimit) {
  const auto file = folder_ / "file";
  write_file_durably(file, content_).value();
  EXPECT_EQ(store_.put_file(file, content_.size()).value(), digest_);
  EXPECT_FALSE(store_.put_file(file, content_.size() - 1).ok());
  EXPECT_FALSE(store_.put_file(folder_.path(), 1 << 20).ok());
}

}  // namespace
}  // namespace mutua::peer
