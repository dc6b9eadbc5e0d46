/* Search in pages opened from a folder: browsers refuse workers there, so a hidden frame does a worker's work. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.scope = frame.contentWindow
      this.ready = new Promise((resolve) => {
        this.scope.importScripts = (...urls) =>
          urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve())
        this.scope.postMessage = (data) => {
          const message = new MessageEvent("message", { data })
          this.dispatchEvent(message)
          if (this.onmessage) this.onmessage(message)
        }
        resolve(this.load(url))
      })
    }

    load(url) {
      const page = this.scope.document
      return new Promise((resolve, reject) => {
        const script = page.createElement("script")
        script.src = new URL(url, document.baseURI)
        script.onload = resolve
        script.onerror = reject
        page.body.append(script)
      })
    }

    postMessage(data) {
      this.ready.then(() => this.scope.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.scope.frameElement.remove()
    }
  }
}
