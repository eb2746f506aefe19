resource "x" "a" {
  size = 1
}
