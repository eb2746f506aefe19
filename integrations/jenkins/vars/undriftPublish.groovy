import dev.undrift.Publication

/**
 * Publishes the application of this checkout through its stages.
 *
 *   undriftPublish images: [application: "registry.example/petclinic:${env.GIT_COMMIT}"], credentialsId: 'gitops',
 *     forgeHost: 'forge.example'
 *
 * It runs where undrift, Git and the tools that render are on the PATH: in the image ghcr.io/undrift/undrift-ci. The
 * credentials (user and token) are handed over in the environment only. What was found is shown as test results.
 */
def call(Map settings = [:]) {
    String line = new Publication(settings).command(env.BUILD_NUMBER)
    String report = "undrift-${env.BUILD_NUMBER}.xml"
    // Where the token may go, whatever undrift.yaml says.
    List<String> host = settings.forgeHost ? ["UNDRIFT_FORGE_HOST=${settings.forgeHost}".toString()] : []
    Closure run = { withEnv(host) { sh(script: "${line} >${report}", label: 'undrift publish') } }
    try {
        if (settings.credentialsId) {
            withCredentials([
                usernamePassword(
                    credentialsId: settings.credentialsId,
                    usernameVariable: 'UNDRIFT_USERNAME',
                    passwordVariable: 'UNDRIFT_TOKEN'
                ),
            ]) { run() }
        } else {
            run()
        }
    } finally {
        junit(testResults: report, allowEmptyResults: true)
    }
}
